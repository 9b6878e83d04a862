import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { CheckoutService } from "#gen/sovr/checkout/v1/checkout_service_pb.ts";
import { errorReason } from "./client/errors.ts";
import { openMesh } from "./client/open-mesh.ts";
import { readArguments, runCommand } from "./command/command.ts";
import { Problem } from "./command/problem.ts";
import { readSettings } from "./state/settings.ts";

const usage = "./mesh cancel ORDER [--merchant ID]";

runCommand(async () => {
  const options = { merchant: { type: "string", default: "corner-shop" } } as const;
  const { values, positionals } = readArguments(options, usage);
  const [orderId] = positionals;
  if (orderId === undefined || positionals.length > 1) throw new Problem(`usage: ${usage}`);
  const mesh = openMesh(readSettings(process.env), { retries: "as told" });
  const order = { merchantId: values.merchant, orderId };
  try {
    await createClient(CheckoutService, mesh.transport).cancelCheckout({
      key: { case: "order", value: order },
    });
    console.log(`CANCELLED order ${orderId}`);
    return 0;
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    throw new Problem(`${errorReason(error) ?? Code[error.code]}: ${error.rawMessage}`);
  }
});
