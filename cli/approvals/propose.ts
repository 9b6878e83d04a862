import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { toJsonString } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { formatIntent } from "#common/intent/codec.ts";
import { readJson } from "#common/rpc/strict/read-request.ts";
import { type ClearingIntent, ClearingIntentSchema } from "#gen/sovr/attestor/v1/intent_pb.ts";
import { type Proposal, ProposalSchema } from "#gen/sovr/attestor/v1/proposal_pb.ts";
import { ClearingService } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { parseAmount } from "../client/amount.ts";
import { adjustmentIntent, fundingIntent, usd } from "../client/intents.ts";
import { openMesh } from "../client/open-mesh.ts";
import { resolveAddress } from "../client/wallets.ts";
import { readArguments } from "../command/command.ts";
import { Problem } from "../command/problem.ts";
import { readSettings, type Settings } from "../state/settings.ts";
import { approverNames, asTreasurer, callOrProblem, proposalLines, required } from "./client.ts";

const usage =
  "./mesh propose fund AMOUNT --wallet WALLET | adjust AMOUNT --from ACCOUNT --to ACCOUNT --reference TEXT | " +
  "FILE | - [--hours 24] [--json], or ./mesh propose --withdraw INTENT_ID [--json]";

/** The longest that an intent may wait for its approvers. */
const hoursMax = 24;

/** `./mesh propose`. */
export async function propose(args: readonly string[]): Promise<number> {
  const { values, positionals } = readArguments(
    {
      wallet: { type: "string" },
      from: { type: "string" },
      to: { type: "string" },
      reference: { type: "string", default: "" },
      hours: { type: "string", default: String(hoursMax) },
      withdraw: { type: "string" },
      json: { type: "boolean", default: false },
    },
    usage,
    args,
  );
  const settings = readSettings(process.env);
  const attestor = asTreasurer(settings);
  const [kind, amount] = positionals;
  const { withdraw: intentId } = values;
  if (intentId !== undefined) {
    if (kind !== undefined) throw new Problem(`usage: ${usage}`);
    const { proposal } = await callOrProblem(() => attestor.withdrawProposal({ intentId }));
    print(settings, required(proposal), values.json);
    return 0;
  }
  if (kind === undefined || positionals.length > 2) throw new Problem(`usage: ${usage}`);
  const intent = await intentOf(settings, kind, { ...values, amount });
  const { proposal } = await callOrProblem(() => attestor.proposeIntent({ intent }));
  print(settings, required(proposal), values.json);
  return 0;
}

function print(settings: Settings, proposal: Proposal, json: boolean): void {
  if (json) console.log(toJsonString(ProposalSchema, proposal, { prettySpaces: 2 }));
  else for (const line of proposalLines(proposal, approverNames(settings))) console.log(line);
}

interface Wish {
  readonly amount: string | undefined;
  readonly wallet?: string | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly reference: string;
  readonly hours: string;
}

async function intentOf(settings: Settings, kind: string, wish: Wish): Promise<ClearingIntent> {
  if (kind !== "fund" && kind !== "adjust") return readIntent(kind);
  const hours = /^[0-9]{1,2}$/.test(wish.hours) ? Number(wish.hours) : 0;
  if (hours < 1 || hours > hoursMax)
    throw new Problem(`--hours ${wish.hours}: give hours from 1 to ${hoursMax}`);
  if (wish.amount === undefined) throw new Problem(`${kind} needs an amount, such as 20000.00`);
  const amount = parseAmount(wish.amount, usd);
  const options = { reference: wish.reference, lifetimeSeconds: hours * 3_600 };
  if (kind === "adjust") {
    const { from, to } = wish;
    if (from === undefined || to === undefined || wish.reference === "")
      throw new Problem("adjust needs --from ACCOUNT, --to ACCOUNT and --reference TEXT");
    try {
      return formatIntent(adjustmentIntent(amount, { from, to }, options));
    } catch (error) {
      if (error instanceof RangeError) throw new Problem(error.message);
      throw error;
    }
  }
  if (wish.wallet === undefined) throw new Problem("fund needs --wallet WALLET");
  const wallet = resolveAddress(settings, wish.wallet);
  // Money cannot go to an account that nobody has opened, and to open one needs no approval.
  const { transport } = openMesh(settings);
  await callOrProblem(() =>
    createClient(ClearingService, transport).openWallet({ wallet, ledger: usd }),
  );
  return formatIntent(fundingIntent(amount, wallet, options));
}

/** An intent as ./mesh intent prints it. */
async function readIntent(file: string): Promise<ClearingIntent> {
  const json = file === "-" ? await text(process.stdin) : readFileSync(file, "utf8");
  try {
    return readJson(ClearingIntentSchema, json);
  } catch (error) {
    throw new Problem(error instanceof Error ? error.message : String(error));
  }
}
