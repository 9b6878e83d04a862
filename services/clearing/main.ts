import { contracts } from "#common/contracts.ts";
import { runMain } from "#common/process/run-main.ts";
import { mountOf } from "#common/rpc/mount.ts";
import { serve } from "#common/rpc/serve.ts";
import { ClearingService } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { createClearBatch } from "./batch/clear-batch.ts";
import { clearingConfig } from "./config.ts";
import { createClearingDeps } from "./deps.ts";
import { createClearingService } from "./service.ts";

await runMain(async () => {
  const config = clearingConfig(process.env);
  const deps = await createClearingDeps(config);
  const threads = deps.startBatchThreads();
  const batches = { clearBatch: createClearBatch(deps.clearing, threads) };
  const json = { clearBatch: threads.json };
  const mounts = [mountOf(ClearingService, createClearingService(deps), batches, json)];
  return serve({ config: config.runtime, mounts, contracts, ...deps });
});
