import { Code, ConnectError } from "@connectrpc/connect";
import { formatAmount } from "#common/ledger/assets.ts";
import {
  type Checkout,
  CheckoutState,
  type Transition,
} from "#gen/sovr/checkout/v1/checkout_pb.ts";
import { errorReason } from "./client/errors.ts";
import { openMesh } from "./client/open-mesh.ts";
import { parseItem } from "./client/order-items.ts";
import { openShopper, stateName } from "./client/shopper.ts";
import { requireWallet } from "./client/wallets.ts";
import { readArguments, runCommand } from "./command/command.ts";
import { Problem } from "./command/problem.ts";
import { readSettings } from "./state/settings.ts";

const usage = "./mesh buy milk|eggs|bread|bundle[=QUANTITY]… --wallet WALLET [--card visa|…]";

runCommand(async () => {
  const options = { wallet: { type: "string" }, card: { type: "string" } } as const;
  const { values, positionals } = readArguments(options, usage);
  if (positionals.length === 0 || values.wallet === undefined) throw new Problem(`usage: ${usage}`);
  const settings = readSettings(process.env);
  const wallet = requireWallet(settings, values.wallet);
  const shopper = openShopper(settings, openMesh(settings, { retries: "as told" }));
  const { card } = values;
  if (card !== undefined && !/^[A-Za-z]{1,64}$/.test(card)) {
    throw new Problem(`--card ${card}: name a test card, such as visa or chargeDeclined`);
  }
  try {
    const checkout = await shopper.buy(
      { wallet, items: positionals.map((text) => parseItem(text, usage)), card },
      print,
    );
    return checkout.state === CheckoutState.CLEARED ? 0 : 1;
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    throw new Problem(`${errorReason(error) ?? Code[error.code]}: ${error.rawMessage}`);
  }
});

function print(checkout: Checkout, step: Transition): void {
  const amount = formatAmount(BigInt(checkout.amount), checkout.ledger);
  const says: Partial<Record<CheckoutState, string>> = {
    [CheckoutState.CREATED]: `${amount}, order ${checkout.order?.orderId}`,
    [CheckoutState.CLEARED]: `by intent ${checkout.clearedIntentId}`,
  };
  console.log(`${stateName(step.toState).padEnd(20)}${says[step.toState] ?? step.cause}`);
}
