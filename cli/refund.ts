import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { formatAmount } from "#common/ledger/assets.ts";
import { newUuidV7 } from "#common/uuid.ts";
import { EntryStateSchema } from "#gen/sovr/checkout/v1/checkout_pb.ts";
import { CheckoutService } from "#gen/sovr/checkout/v1/checkout_service_pb.ts";
import { parseAmount } from "./client/amount.ts";
import { errorReason } from "./client/errors.ts";
import { usd } from "./client/intents.ts";
import { openMesh } from "./client/open-mesh.ts";
import { parseItem } from "./client/order-items.ts";
import { readArguments, runCommand } from "./command/command.ts";
import { Problem } from "./command/problem.ts";
import { readSettings } from "./state/settings.ts";

const usage =
  "./mesh refund ORDER milk|eggs|bread|bundle[=QUANTITY]… | --amount 1.50 [--merchant ID] [--id UUIDv7]";

runCommand(async () => {
  const options = {
    amount: { type: "string" },
    merchant: { type: "string", default: "corner-shop" },
    id: { type: "string" },
  } as const;
  const { values, positionals } = readArguments(options, usage);
  const [orderId, ...items] = positionals;
  if (orderId === undefined || (items.length === 0) === (values.amount === undefined)) {
    throw new Problem(`usage: ${usage}`);
  }
  const mesh = openMesh(readSettings(process.env), { retries: "as told" });
  const intentId = values.id ?? newUuidV7();
  try {
    const { refund, checkout } = await createClient(CheckoutService, mesh.transport).refundCheckout(
      {
        order: { merchantId: values.merchant, orderId },
        items: items.map((text) => parseItem(text, usage)),
        intentId,
        ...(values.amount === undefined
          ? {}
          : { amount: parseAmount(values.amount, usd).toString() }),
      },
    );
    const amount = formatAmount(BigInt(refund?.amount ?? "0"), checkout?.ledger ?? usd);
    const state = EntryStateSchema.value[refund?.state ?? 0]?.localName ?? "UNSPECIFIED";
    console.log(`${state} ${amount} of order ${orderId} by intent ${intentId}`);
    return state === "FAILED" ? 1 : 0;
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    // What became of it may not be known: with the same id it is the same refund.
    const again = `--id ${intentId} asks for the same refund again`;
    throw new Problem(`${errorReason(error) ?? Code[error.code]}: ${error.rawMessage} (${again})`);
  }
});
