import { contracts } from "#common/contracts.ts";
import { runMain } from "#common/process/run-main.ts";
import { mountOf } from "#common/rpc/mount.ts";
import { serve } from "#common/rpc/serve.ts";
import { CheckoutService } from "#gen/sovr/checkout/v1/checkout_service_pb.ts";
import { checkoutConfig } from "./config.ts";
import { createCheckoutDeps } from "./deps.ts";
import { createCheckoutService } from "./service.ts";

await runMain(async () => {
  const config = checkoutConfig(process.env);
  const deps = await createCheckoutDeps(config);
  return serve({
    config: config.runtime,
    mounts: [mountOf(CheckoutService, createCheckoutService(deps))],
    contracts,
    routes: deps.routes,
    dependencies: deps.dependencies,
    close: deps.close,
    logger: deps.logger,
  });
});
