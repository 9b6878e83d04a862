import { contracts } from "#common/contracts.ts";
import { runMain } from "#common/process/run-main.ts";
import { mountOf } from "#common/rpc/mount.ts";
import { serve } from "#common/rpc/serve.ts";
import { EventStreamService } from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { eventStreamConfig } from "./config.ts";
import { createEventStreamDeps } from "./deps.ts";
import { createEventStreamService } from "./service.ts";

await runMain(async () => {
  const config = eventStreamConfig(process.env);
  const deps = await createEventStreamDeps(config);
  return serve({
    config: config.runtime,
    mounts: [mountOf(EventStreamService, createEventStreamService(deps))],
    contracts,
    ...deps,
  });
});
