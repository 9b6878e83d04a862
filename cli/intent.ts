import { toJson } from "@bufbuild/protobuf";
import { formatIntent } from "#common/intent/codec.ts";
import type { Intent } from "#common/intent/intent.ts";
import { ClearingIntentSchema } from "#gen/sovr/attestor/v1/intent_pb.ts";
import { parseAmount } from "./client/amount.ts";
import {
  fundingIntent,
  type IntentOptions,
  products,
  purchaseIntent,
  signIntent,
  transferIntent,
  usd,
} from "./client/intents.ts";
import { requireWallet, resolveAddress } from "./client/wallets.ts";
import { readArguments, runCommand } from "./command/command.ts";
import { Problem } from "./command/problem.ts";
import { readSettings, type Settings } from "./state/settings.ts";
import { readIdentity } from "./state/state.ts";

const usage =
  "./mesh intent milk|eggs|bread|bundle|fund AMOUNT|transfer AMOUNT --wallet WALLET [--to WALLET] [--sign] " +
  "[--pending [--timeout SECONDS]] [--merchant ID] [--reference TEXT]";

runCommand(async () => {
  const { values, positionals } = readArguments(
    {
      wallet: { type: "string" },
      to: { type: "string" },
      sign: { type: "boolean", default: false },
      pending: { type: "boolean", default: false },
      timeout: { type: "string", default: "0" },
      merchant: { type: "string", default: "" },
      reference: { type: "string", default: "" },
    },
    usage,
  );
  const [kind, amount] = positionals;
  if (kind === undefined || values.wallet === undefined) throw new Problem(`usage: ${usage}`);
  if (!/^[0-9]{1,8}$/.test(values.timeout))
    throw new Problem(`--timeout ${values.timeout}: give seconds`);
  const settings = readSettings(process.env);
  const intent = makeIntent(settings, kind, {
    amount,
    wallet: resolveAddress(settings, values.wallet),
    to: values.to,
    options: {
      merchantId: values.merchant,
      reference: values.reference,
      pending: values.pending,
      timeoutSeconds: Number(values.timeout),
    },
  });
  const json = toJson(ClearingIntentSchema, formatIntent(intent));
  const printed = values.sign
    ? { intent: json, walletSignature: walletSignature(settings, intent, kind, values.wallet) }
    : json;
  console.log(JSON.stringify(printed, null, 2));
  return 0;
});

interface Wish {
  readonly amount: string | undefined;
  readonly wallet: string;
  readonly to: string | undefined;
  readonly options: IntentOptions;
}

function makeIntent(settings: Settings, kind: string, wish: Wish): Intent {
  if (Object.hasOwn(products, kind)) return purchaseIntent(kind, wish.wallet, wish.options);
  if (kind !== "fund" && kind !== "transfer") {
    throw new Problem(`unknown intent "${kind}" (usage: ${usage})`);
  }
  if (wish.amount === undefined) throw new Problem(`${kind} needs an amount, such as 20.00`);
  const amount = parseAmount(wish.amount, usd);
  if (kind === "fund") return fundingIntent(amount, wish.wallet, wish.options);
  if (wish.to === undefined) throw new Problem("transfer needs --to WALLET");
  const to = resolveAddress(settings, wish.to);
  return transferIntent(amount, { from: wish.wallet, to }, wish.options);
}

/** House entries carry no wallet signature. */
function walletSignature(settings: Settings, intent: Intent, kind: string, wallet: string): string {
  if (kind === "fund") return "";
  const identity = readIdentity(settings);
  if (identity === undefined) {
    throw new Problem("there is no mesh to sign for yet: ./mesh up makes one");
  }
  return signIntent(intent, requireWallet(settings, wallet), identity);
}
