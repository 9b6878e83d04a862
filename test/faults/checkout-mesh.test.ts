// Goal: whatever dies and however Stripe tells it, every paid checkout clears once or is refunded, every unpaid one not at
// all, and the ledger says of Stripe what Stripe says. Method: a mesh of its own under shoppers, admins, a dashboard and
// a forger; webhooks duplicated, shuffled, delayed past every expiry, dropped, early and forged, calls of Stripe cut;
// parts killed with -9 throughout. When all is settled, tables, ledger and Stripe are read past the services and held
// against each other. FAULT_SEED repeats a run's decisions, FAULT_CHECKOUTS makes it longer,
// and FAULT_LIFETIME_SECONDS gives shoppers more time on a slow machine.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import type { Client } from "tigerbeetle-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createPool, type Pool } from "#common/postgres/pool.ts";
import { openClient } from "#common/tigerbeetle/open-client.ts";
import type { Checkout } from "#gen/sovr/checkout/v1/checkout_pb.ts";
import { CheckoutStateSchema } from "#gen/sovr/checkout/v1/checkout_pb.ts";
import { WebhookEventState } from "#gen/sovr/checkout/v1/checkout_service_pb.ts";
import { ClearingService } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { clearIntent } from "../../cli/client/clear-intent.ts";
import { fundingIntent, usd } from "../../cli/client/intents.ts";
import type { Wallet } from "../../cli/client/wallets.ts";
import { developmentBatchMax } from "../../cli/parts/tigerbeetle.ts";
import { keyFiles } from "../../cli/state/keys.ts";
import { webhookTypes } from "../../services/checkout/webhooks/process-event.ts";
import { checkoutClient, type Market, openMarket, pick } from "../support/checkout/market.ts";
import { type Books, type OrderRow, readBooks } from "../support/checkout/market-books.ts";
import { breakMarket } from "../support/checkout/market-faults.ts";
import { administer, meddle } from "../support/checkout/market-staff.ts";
import { validateAnswers, validateBooks } from "../support/checkout/market-validator.ts";
import { newWallet, shop } from "../support/checkout/shoppers.ts";
import { createRandom } from "../support/intents/random-history.ts";
import { engines, type TestEngine } from "../support/ledger/tigerbeetle.ts";
import { startMesh, type TestMesh } from "../support/mesh/mesh.ts";
import { persist } from "../support/postgres/persist.ts";
import { forge } from "../support/stripe/webhook-forger.ts";

const { FAULT_SEED, FAULT_CHECKOUTS, FAULT_LIFETIME_SECONDS } = process.env;
const randomSeed = Number(FAULT_SEED ?? 20_261_124);
const checkoutsCount = Number(FAULT_CHECKOUTS ?? 120);
/** Shoppers who come in a second. */
const arrivals = 15;
/** Shoppers at once. */
const shoppersMax = 40;
const adminsCount = 4;
/** How long a shopper has to pay: short, so that late payments are in time for the test. */
const lifetimeSeconds = Number(FAULT_LIFETIME_SECONDS ?? 6);
const startMs = 120_000;
/** How long everything may take to settle after the last fault. */
const settleMs = 120_000 + 50 * checkoutsCount;

/** In the suite on the embedded engine alone, for the time it takes; by hand, with FAULT_SEED, on TigerBeetle as well. */
for (const engine of engines) {
  const isWanted = engine.name === "embedded" || FAULT_SEED !== undefined;
  const reason = engine.missing ?? (isWanted ? undefined : "it takes FAULT_SEED to run it");
  const name = `a market among faults (FAULT_SEED=${randomSeed}) on ${engine.name}`;
  describe.skipIf(reason !== undefined)(
    reason === undefined ? name : `${name} (skipped: ${reason})`,
    () => runMarket(engine),
  );
}

function runMarket(engine: TestEngine): void {
  const batchMax = engine.name === "embedded" ? 8_189 : developmentBatchMax;
  let mesh: TestMesh;
  let market: Market;
  let ledger: Client;
  let pool: Pool;

  beforeAll(async () => {
    mesh = await startMesh({
      engine: engine.name,
      environment: {
        CHECKOUT_LIFETIME_SECONDS: String(lifetimeSeconds),
        OPEN_CHECKOUTS_PER_WALLET: String(checkoutsCount),
        STRIPE_SIM_RETRY_FIRST_MS: "200",
        STRIPE_SIM_RETRY_MAX_MS: "2000",
        STRIPE_SIM_ATTEMPTS_MAX: "1000",
      },
    });
    market = openMarket(mesh, lifetimeSeconds * 1_000);
    ledger = await openLedger(mesh, batchMax);
    const databaseUrl = readFileSync(keyFiles(mesh.settings).databaseUrl, "utf8").trim();
    pool = createPool({ databaseUrl, applicationName: "test", connectionsMax: 2 });
  }, startMs);

  afterAll(async () => {
    ledger?.destroy();
    await pool?.end();
    await mesh?.stop();
  });

  test(
    "clears what was paid once or gives it back, and nothing else",
    async () => {
      const begunMs = performance.now();
      const wallets = await fundWallets(mesh);
      const random = createRandom(randomSeed);
      let isOver = false;
      const staff = (number: number) => ({
        market,
        random: createRandom(randomSeed + number),
        isOver: () => isOver,
      });
      const admins = Array.from({ length: adminsCount }, (_, index) =>
        administer(staff(index + 1)),
      );
      const shopping = shopAll(market, random, wallets).finally(() => {
        isOver = true;
      });
      const [report] = await Promise.all([
        breakMarket(staff(13)),
        shopping,
        ...admins,
        meddle(staff(11)),
        forge(staff(12)),
      ]);
      const loadedMs = performance.now();
      await persist(() => market.sim.clearFaults());
      const replayed = await settle(market, pool);
      const settledMs = performance.now();

      const books = await readBooks({ pool, ledger, batchMax, stripe: market.dashboard });
      tell(engine.name, market, books, [
        `${report.faults.length} faults (${report.faults.join(", ")})`,
        `${report.forged} forged by the simulator, ${replayed} events replayed`,
        `load ${seconds(begunMs, loadedMs)}, settled ${seconds(loadedMs, settledMs)}`,
      ]);
      expect(market.strange).toEqual([]);
      expect(report.forgedAccepted).toBe(0);
      expect(validateBooks(books)).toEqual([]);
      expect(validateAnswers(books, market.purchases, market.requests)).toEqual([]);
      expect(await listed(market)).toEqual(books.orders.map(summaryOf));

      // All of it once more, and nothing moves.
      await stir(market, pool);
      const again = await readBooks({ pool, ledger, batchMax, stripe: market.dashboard });
      expect(again).toEqual(books);
      const audit = await mesh.run("audit");
      expect(audit, audit.stdout).toMatchObject({ code: 0 });
    },
    settleMs + 180_000 + (checkoutsCount / arrivals) * 5_000,
  );
}

function openLedger({ settings, identity }: TestMesh, batchMax: number): Promise<Client> {
  const address = `${settings.host}:${settings.ports.tigerbeetle}`;
  return openClient({
    clusterId: BigInt(identity.clusterId),
    batchMax,
    engine:
      identity.engine === "embedded"
        ? { kind: "embedded", path: join(settings.state, "ledger.db") }
        : { kind: "tigerbeetle", addresses: [address] },
  });
}

/** Wallets that pay from their balance: some of the rich, and one that soon has nothing left. */
async function fundWallets(mesh: TestMesh): Promise<Wallet[]> {
  const client = mesh.client();
  const clearing = createClient(ClearingService, client.transport);
  const wallets: Wallet[] = [];
  for (const amount of [90_000_000n, 90_000_000n, 90_000_000n, 2_000n]) {
    const wallet = newWallet("balance");
    await clearing.openWallet({ wallet: wallet.address, ledger: usd });
    await clearIntent(client, fundingIntent(amount, wallet.address));
    wallets.push(wallet);
  }
  return wallets;
}

/** Shoppers come one after another and do not wait for each other, as long as the shop is not too full. */
async function shopAll(
  market: Market,
  random: () => number,
  wallets: readonly Wallet[],
): Promise<void> {
  const shopping = new Set<Promise<void>>();
  for (let index = 0; index < checkoutsCount; index += 1) {
    const own = createRandom(randomSeed + 1_000 + index);
    const balance = random() < 0.25 ? pick(random, wallets) : undefined;
    const one = shop(market, own, balance).finally(() => shopping.delete(one));
    shopping.add(one);
    await sleep((2_000 / arrivals) * random());
    while (shopping.size >= shoppersMax) await Promise.race(shopping);
  }
  await Promise.all(shopping);
}

/** Waits until nothing is under way any more. Returns how many events an operator had to replay. */
async function settle(market: Market, pool: Pool): Promise<number> {
  const replayed = new Set<string>();
  const client = checkoutClient(market, { scopes: ["checkout.admin"] });
  let missing = "everything";
  for (const untilMs = Date.now() + settleMs; Date.now() < untilMs; await sleep(500)) {
    try {
      for (const eventId of await stuckEvents(pool)) {
        if (replayed.has(eventId)) continue;
        await persist(() => client.replayWebhookEvent({ eventId }));
        replayed.add(eventId);
      }
      missing = await whatIsMissing(market, pool);
      // What was killed last may have been the way to Checkout, and nothing else waits for it.
      await client.listWebhookEvents({ pageSize: 1 });
    } catch (error) {
      // A part that was killed last may still be on its way.
      missing = String(error);
    }
    if (missing === "") return replayed.size;
  }
  throw new Error(`it did not settle: ${missing}`);
}

/** Those that wait for long, or for ever. */
async function stuckEvents(pool: Pool): Promise<string[]> {
  const { rows } = await pool.query<{ event_id: string }>(
    `select event_id from checkout_webhook_event
     where state = 'DEAD' or state = 'PENDING' and next_attempt_time > now() + interval '5 seconds'`,
  );
  return rows.map(({ event_id }) => event_id);
}

async function whatIsMissing(market: Market, pool: Pool): Promise<string> {
  const { rows } = await pool.query<{ what: string }>(
    `select 'checkout ' || intent_id || ' is ' || state as what from checkout_order
     where return_owed or state in ('CREATED', 'AWAITING_SIGNATURE', 'AWAITING_PAYMENT', 'PAID')
     union all select kind || ' ' || entry_id || ' of ' || checkout_id || ' is pending' from checkout_entry where state = 'PENDING'
     union all select event_id || ' is ' || state || ': ' || last_error from checkout_webhook_event
     where state in ('PENDING', 'DEAD')`,
  );
  const [first] = rows;
  if (first !== undefined) return `${first.what}, and ${rows.length - 1} more`;
  if (!(await market.sim.idle(0))) return "webhooks are still to be sent";
  const known = await pool.query<{ event_id: string }>(
    "select event_id from checkout_webhook_event",
  );
  const ids = new Set(known.rows.map(({ event_id }) => event_id));
  for await (const { id } of toldEvents(market))
    if (!ids.has(id)) return `${id} was never heard of`;
  return "";
}

function toldEvents({ dashboard }: Market) {
  return dashboard.events.list({ limit: 100, types: [...webhookTypes] });
}

/** Tells and processes once more what was told and processed before. */
async function stir(market: Market, pool: Pool): Promise<void> {
  const client = checkoutClient(market, { scopes: ["checkout.admin"] });
  let told = 0;
  for await (const { id } of toldEvents(market)) {
    told += 1;
    if (told > 40) break;
    await market.sim.resend(id);
    await client.replayWebhookEvent({ eventId: id });
  }
  const { events } = await client.listWebhookEvents({ state: WebhookEventState.DEAD });
  expect(events).toEqual([]);
  await expect.poll(() => whatIsMissing(market, pool), { timeout: 60_000 }).toBe("");
}

interface Summary {
  readonly intentId: string;
  readonly state: string;
  readonly amount: string;
  readonly paymentIntentId: string;
  readonly revision: bigint;
  readonly refunds: readonly string[];
  readonly fulfilments: readonly string[];
}

/** What ListCheckouts tells, page by page. */
async function listed(market: Market): Promise<Summary[]> {
  const client = checkoutClient(market, { scopes: ["checkout.admin"] });
  const all: Checkout[] = [];
  for (let pageToken = ""; ; ) {
    const page = await client.listCheckouts({ pageSize: 50, pageToken });
    all.push(...page.checkouts);
    pageToken = page.nextPageToken;
    if (pageToken === "") break;
  }
  return all.map((checkout) => ({
    intentId: checkout.intentId,
    state: CheckoutStateSchema.value[checkout.state]?.localName ?? "",
    amount: checkout.amount,
    paymentIntentId: checkout.paymentIntentId,
    revision: checkout.revision,
    refunds: checkout.refunds.map(({ intentId, amount }) => `${intentId} ${amount}`),
    fulfilments: checkout.fulfilments.map(({ intentId }) => intentId),
  }));
}

function summaryOf(order: OrderRow): Summary {
  const { intentId, state, amount, paymentIntentId, revision, entries } = order;
  const ofKind = (wanted: string) => entries.filter(({ kind }) => kind === wanted);
  return {
    intentId,
    state,
    amount: amount.toString(),
    paymentIntentId,
    revision,
    refunds: ofKind("REFUND").map((entry) => `${entry.entryId} ${entry.amount}`),
    fulfilments: ofKind("FULFILMENT").map(({ entryId }) => entryId),
  };
}

function tell(engine: string, { tally }: Market, books: Books, lines: readonly string[]): void {
  const states = Map.groupBy(
    books.orders,
    ({ state, byCard }) => `${byCard ? "card" : "balance"} ${state}`,
  );
  const attempts = books.orders.flatMap(({ entries }) =>
    entries.flatMap((entry) => entry.attempts),
  );
  console.log(
    [
      `${engine}, FAULT_SEED=${randomSeed}: ${books.orders.length} checkouts`,
      ...[...states].map(([state, orders]) => `  ${orders.length} ${state}`),
      `  ${attempts.filter(({ state }) => state === "DEAD").length} intents died`,
      ...[...tally].toSorted().map(([what, times]) => `  ${times} × ${what}`),
      ...lines.map((line) => `  ${line}`),
    ].join("\n"),
  );
}

function seconds(fromMs: number, toMs: number): string {
  return `${((toMs - fromMs) / 1_000).toFixed(1)} s`;
}
