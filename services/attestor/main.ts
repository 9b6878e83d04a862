import { contracts } from "#common/contracts.ts";
import { runMain } from "#common/process/run-main.ts";
import { mountOf } from "#common/rpc/mount.ts";
import { serve } from "#common/rpc/serve.ts";
import { AttestorService } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import { createAttestBatch } from "./batch/attest-batch.ts";
import { attestorConfig } from "./config.ts";
import { createAttestorDeps } from "./deps.ts";
import { createAttestorService } from "./service.ts";

await runMain(async () => {
  const config = attestorConfig(process.env);
  const deps = await createAttestorDeps(config);
  const batches = { attestBatch: createAttestBatch(deps) };
  return serve({
    config: config.runtime,
    mounts: [mountOf(AttestorService, createAttestorService(deps), batches)],
    contracts,
    dependencies: deps.dependencies,
    close: deps.close,
    logger: deps.logger,
  });
});
