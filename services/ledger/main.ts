import { contracts } from "#common/contracts.ts";
import { runMain } from "#common/process/run-main.ts";
import { mountOf } from "#common/rpc/mount.ts";
import { serve } from "#common/rpc/serve.ts";
import { LedgerService } from "#gen/sovr/ledger/v1/ledger_service_pb.ts";
import { ledgerConfig } from "./config.ts";
import { createLedgerDeps } from "./deps.ts";
import { createLedgerService } from "./service.ts";

await runMain(async () => {
  const config = ledgerConfig(process.env);
  const deps = await createLedgerDeps(config);
  return serve({
    config: config.runtime,
    mounts: [mountOf(LedgerService, createLedgerService(deps))],
    contracts,
    ...deps,
  });
});
