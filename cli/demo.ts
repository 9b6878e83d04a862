import { performance } from "node:perf_hooks";
import { clone, create } from "@bufbuild/protobuf";
import { type Client, ConnectError, createClient } from "@connectrpc/connect";
import { formatIntent } from "#common/intent/codec.ts";
import type { Intent } from "#common/intent/intent.ts";
import { formatAmount } from "#common/ledger/assets.ts";
import { reasonOf } from "#common/rpc/errors.ts";
import { AttestorService } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import type { Proposal } from "#gen/sovr/attestor/v1/proposal_pb.ts";
import {
  type Checkout,
  CheckoutState,
  type Transition,
} from "#gen/sovr/checkout/v1/checkout_pb.ts";
import { CheckoutService } from "#gen/sovr/checkout/v1/checkout_service_pb.ts";
import type { Clearing } from "#gen/sovr/clearing/v1/clearing_pb.ts";
import {
  ClearingService,
  type ClearRequest,
  ClearRequestSchema,
} from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { LedgerService } from "#gen/sovr/ledger/v1/ledger_service_pb.ts";
import {
  asTreasurer,
  clearApproved,
  stateName as proposalStateName,
  sendDecision,
} from "./approvals/client.ts";
import { type EventPrinter, printEvents } from "./client/demo-events.ts";
import { fundingIntent, purchaseIntent, signIntent, usd } from "./client/intents.ts";
import { type MeshClient, openMesh } from "./client/open-mesh.ts";
import { openShopper, type Shopper, stateName, type Wish } from "./client/shopper.ts";
import { createWallet, type Wallet } from "./client/wallets.ts";
import { readArguments, runCommand } from "./command/command.ts";
import { Problem } from "./command/problem.ts";
import { table } from "./command/text.ts";
import { readApprovers } from "./state/approvers.ts";
import { isRunning } from "./state/process-identity.ts";
import { readSettings, type Settings } from "./state/settings.ts";
import { readState } from "./state/state.ts";
import { startOwned } from "./supervisor/detached.ts";
import { stopMesh } from "./supervisor/stop-mesh.ts";

const usage = "./mesh demo";
const funding = 1_500n;
/** More than one may move alone in a development mesh. */
const approvedFunding = 1_200_000n;

runCommand(async () => {
  const { positionals } = readArguments({}, usage);
  if (positionals.length > 0) throw new Problem(`usage: ${usage}`);
  const settings = readSettings(process.env);
  const state = readState(settings);
  if (state !== undefined && isRunning(state.supervisor)) return demo(settings);
  console.log("No mesh is running here; the demo starts one and stops it at the end.\n");
  // Its mesh ends when this process does, however that ends.
  const owner = await startOwned(
    settings,
    { fresh: false, engine: undefined },
    { environment: process.env, report: (line) => console.log(line) },
  );
  try {
    return await demo(settings);
  } finally {
    await stopMesh(settings);
    if (owner.connected) owner.disconnect();
  }
});

/** Everything that the steps share. */
interface Stage {
  readonly mesh: MeshClient;
  readonly wallet: Wallet;
  readonly shopper: Shopper;
  readonly attestor: Client<typeof AttestorService>;
  readonly clearing: Client<typeof ClearingService>;
  readonly ledger: Client<typeof LedgerService>;
  readonly events: EventPrinter;
}

async function demo(settings: Settings): Promise<number> {
  const mesh = openMesh(settings, { retries: "as told" });
  const wallet = await step("make a wallet", async () => {
    const made = createWallet(settings, `demo-${Date.now().toString(36)}`);
    return [made, `${made.name} ${made.address}`];
  });
  const clearing = createClient(ClearingService, mesh.transport);
  const ledger = createClient(LedgerService, mesh.transport);
  const attestor = createClient(AttestorService, mesh.transport);
  const shopper = openShopper(settings, mesh);
  const events = await step("subscribe to its events", async () => {
    const printer = await printEvents(mesh, wallet.address);
    return [printer, "opened, live"];
  });
  const stage: Stage = { mesh, wallet, shopper, attestor, clearing, ledger, events };
  try {
    await lookAtTheShelf(mesh);
    if (settings.ports.stripeSim === undefined) {
      console.log("            Cards are paid at Stripe itself here: pay by card in Studio.");
    } else await buyByCard(stage);
    const milk = await buyFromBalance(stage);
    await refuseEverything(stage, milk);
    const approved = await approveTogether(stage, settings);
    await showBooks(stage, funding + approved);
  } finally {
    await events.close();
  }
  return 0;
}

async function lookAtTheShelf({ transport }: MeshClient): Promise<void> {
  await step("look at the shelf", async () => {
    const { products } = await createClient(CheckoutService, transport).listProducts({});
    const prices = products.map(({ sku, price }) => {
      return `${sku} ${formatAmount(BigInt(price?.amount ?? 0), price?.ledger ?? usd)}`;
    });
    return [products, prices.join(", ")];
  });
}

/** One card is declined and moves nothing; another pays, and one chain funds the wallet and buys. */
async function buyByCard(stage: Stage): Promise<void> {
  const { wallet, shopper } = stage;
  const items = [{ sku: "BUNDLE", quantity: 1 }];
  await step("pay with a card without money", async () => {
    try {
      const card = "chargeDeclinedInsufficientFunds";
      await shopper.buy({ wallet, items, card }, printState);
    } catch (error) {
      if (error instanceof Problem) return [undefined, `${error.message} Nothing moved.`];
      throw error;
    }
    throw new Error("the card was not declined");
  });
  const intentId = await buyStep(stage, "buy the bundle by card, 7.50", { items, card: "visa" });
  await step("read its journal entry", async () => {
    const { journalEntry } = await stage.ledger.getJournalEntry({ intentId });
    const legs = journalEntry?.lines.length ?? 0;
    return [
      journalEntry,
      `${legs} transfers, one chain, digest ${journalEntry?.digest.slice(0, 14)}…`,
    ];
  });
}

/** Funds the wallet, then buys from its balance. Returns the purchase of milk, for later. */
async function buyFromBalance(stage: Stage): Promise<ClearRequest> {
  const { wallet, clearing } = stage;
  await step("open its account in dollars", async () => {
    const opened = await clearing.openWallet({ wallet: wallet.address, ledger: usd });
    return [opened, `account ${opened.accountId}`];
  });
  await clearStep(stage, `fund ${formatAmount(funding, usd)}`, () =>
    attest(stage, fundingIntent(funding, wallet.address, { reference: "demo" }), ""),
  );
  const milk = await buyStep(stage, "sign for milk, 3.50", {
    items: [{ sku: "MILK", quantity: 1 }],
    card: undefined,
  });
  await buyStep(stage, "sign for two eggs and a bread, 6.50", {
    items: [
      { sku: "EGGS", quantity: 2 },
      { sku: "BREAD", quantity: 1 },
    ],
    card: undefined,
  });
  return step("read what was signed for the milk", async () => {
    const { intent, attestation } = await clearing.getClearing({ intentId: milk });
    if (intent === undefined || attestation === undefined) throw new Error("the milk is not there");
    return [
      create(ClearRequestSchema, { intent, attestation }),
      `digest ${attestation.digest.slice(0, 14)}…`,
    ];
  });
}

/** Buys through Checkout while its states are printed as they come. Returns the id of the intent that cleared. */
async function buyStep(stage: Stage, label: string, wish: Omit<Wish, "wallet">): Promise<string> {
  const { clearedIntentId } = await step(label, async () => {
    const checkout = await stage.shopper.buy({ ...wish, wallet: stage.wallet }, printState);
    if (checkout.state !== CheckoutState.CLEARED) throw new Error(stateName(checkout.state));
    return [checkout, `order ${checkout.order?.orderId}, final`];
  });
  await stage.events.waitFor(clearedIntentId);
  return clearedIntentId;
}

function printState(_checkout: Checkout, { toState, cause }: Transition): void {
  console.log(`${"⇢ ".padStart(15)}${stateName(toState).padEnd(18)} ${cause}`);
}

/** What happens to a replay and to four kinds of fraud and bad luck. */
async function refuseEverything(stage: Stage, milk: ClearRequest): Promise<void> {
  const { clearing } = stage;
  await step("clear the milk again", async () => {
    const { clearing: again } = await clearing.clear(milk);
    if (!again?.replayed) throw new Error("the replay moved value again");
    return [again, "replayed: the first answer, nothing moved"];
  });
  await refusedStep("alter its amount", "ATTESTATION_INVALID", async () => {
    const altered = clone(ClearRequestSchema, milk);
    const posting = altered.intent?.postings[0];
    if (posting !== undefined) posting.amount = "1";
    await clearing.clear(altered);
  });
  await refusedStep("forge a wallet's signature", "WALLET_SIGNATURE_INVALID", async () => {
    const intent = purchaseIntent("milk", stage.wallet.address);
    const forger = { ...stage.wallet, privateKey: `0x${"5a".repeat(32)}` };
    await attest(stage, intent, signIntent(intent, forger, stage.mesh.identity));
  });
  const bundle = await attestPurchase(stage, "bundle");
  await refusedStep("buy for more than is left", "INSUFFICIENT_FUNDS", () =>
    clearing.clear(bundle),
  );
  await refusedStep("try that intent again", "INTENT_FAILED", () => clearing.clear(bundle));
}

/** Nobody alone moves much of the house's money: returns what several have moved, in minor units. */
async function approveTogether(stage: Stage, settings: Settings): Promise<bigint> {
  const approvers = readApprovers(settings);
  if (settings.approvalsPath === "" || approvers.length === 0) return 0n;
  const intent = fundingIntent(approvedFunding, stage.wallet.address, { reference: "demo" });
  const { intentId } = intent;
  const label = formatAmount(approvedFunding, usd);
  await refusedStep(`fund ${label} alone`, "APPROVAL_REQUIRED", () => attest(stage, intent, ""));
  await step("propose it", async () => {
    const { proposal } = await asTreasurer(settings).proposeIntent({
      intent: formatIntent(intent),
    });
    const [demand] = proposal?.demands ?? [];
    return [proposal, `waits for ${demand?.needs} of ${demand?.approvers.length} approvers`];
  });
  let proposal: Proposal | undefined;
  for (const approver of approvers.slice(0, 2)) {
    proposal = await step(`approve it as ${approver.name}`, async () => {
      const decided = await sendDecision(settings, intentId, approver, "APPROVE");
      return [decided, proposalStateName(decided)];
    });
  }
  await step("clear what was approved", async () => {
    if (proposal === undefined) throw new Error("there are no two approvers");
    const clearing = await clearApproved(stage.mesh, proposal);
    return [clearing, describeClearing(clearing)];
  });
  await stage.events.waitFor(intentId);
  return approvedFunding;
}

async function showBooks(stage: Stage, funded: bigint): Promise<void> {
  const { wallet, ledger } = stage;
  const { balance } = await step("read the balance", async () => {
    const answer = await ledger.getBalance({ wallet: wallet.address, ledger: usd });
    return [answer, formatAmount(BigInt(answer.balance?.available ?? 0), usd)];
  });
  const expected = funded - 1_000n;
  if (balance?.available !== expected.toString()) {
    throw new Error(`the balance is ${balance?.available}, not ${expected}`);
  }
  const journal = await step("read the journal", async () => {
    const answer = await ledger.listJournalEntries({ wallet: wallet.address });
    return [answer, `${answer.journalEntries.length} entries`];
  });
  const rows = journal.journalEntries.map((entry) => [
    entry.intentId,
    entry.reference || entry.merchantId,
    entry.lines.map((line) => formatAmount(BigInt(line.amount), line.ledger)).join(" + "),
    `${entry.digest.slice(0, 14)}…`,
  ]);
  console.log(`${table(rows)}\n`);
  await showTrialBalance(stage);
}

async function showTrialBalance({ ledger }: Stage): Promise<void> {
  const trial = await step("add up the trial balance", async () => {
    const answer = await ledger.getTrialBalance({ ledger: usd });
    return [answer, `${answer.accountCount} accounts`];
  });
  const money = (text: string) => formatAmount(BigInt(text), usd);
  const moved = trial.lines.filter(
    (line) => line.debitsPosted !== "0" || line.creditsPosted !== "0",
  );
  const rows = [
    ["account", "debits", "credits"],
    ...moved.map((line) => [line.name, money(line.debitsPosted), money(line.creditsPosted)]),
    ["total", money(trial.debitsPosted), money(trial.creditsPosted)],
  ];
  console.log(table(rows));
  if (trial.debitsPosted !== trial.creditsPosted || trial.debitsPending !== trial.creditsPending) {
    throw new Error("debits and credits differ");
  }
  console.log(
    "\nDebits equal credits. The intents, signatures and transfers above are real and final.",
  );
}

async function attestPurchase(stage: Stage, product: string): Promise<ClearRequest> {
  const intent = purchaseIntent(product, stage.wallet.address, {
    merchantId: "corner-shop",
    reference: product,
  });
  return attest(stage, intent, signIntent(intent, stage.wallet, stage.mesh.identity));
}

async function attest(stage: Stage, intent: Intent, signature: string): Promise<ClearRequest> {
  const proto = formatIntent(intent);
  const { attestation } = await stage.attestor.attest({
    intent: proto,
    walletSignature: signature,
  });
  if (attestation === undefined) throw new Error("the Attestor answered no attestation");
  return create(ClearRequestSchema, { intent: proto, attestation });
}

/** Attests and clears, then waits for the event, so that the output reads in the order of things. */
async function clearStep(
  stage: Stage,
  label: string,
  prepare: () => Promise<ClearRequest>,
): Promise<ClearRequest> {
  const request = await step(`${label}: sign and attest`, async () => {
    const prepared = await prepare();
    return [prepared, `digest ${prepared.attestation?.digest.slice(0, 14)}…`];
  });
  await step(`${label}: clear`, async () => {
    const { clearing } = await stage.clearing.clear(request);
    return [clearing, describeClearing(clearing)];
  });
  await stage.events.waitFor(request.intent?.intentId ?? "");
  return request;
}

function describeClearing(clearing: Clearing | undefined): string {
  const legs = clearing?.transferIds.length ?? 0;
  return `${legs === 1 ? "1 transfer" : `${legs} transfers, one chain`}, final`;
}

async function refusedStep(label: string, reason: string, work: () => Promise<unknown>) {
  await step(label, async () => {
    try {
      await work();
    } catch (error) {
      const refusal = ConnectError.from(error);
      if (reasonOf(refusal) === reason) return [undefined, `${reason}: ${refusal.rawMessage}`];
      throw error;
    }
    throw new Error(`${label} was not refused`);
  });
}

/** Does one thing and prints it with its outcome and milliseconds. */
async function step<T>(label: string, work: () => Promise<readonly [T, string]>): Promise<T> {
  const begin = performance.now();
  const [value, outcome] = await work();
  const ms = (performance.now() - begin).toFixed(1);
  console.log(`${ms.padStart(8)} ms  ${label.padEnd(38)} ${outcome}`);
  return value;
}
