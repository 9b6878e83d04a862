import { Stripe } from "stripe";
import { DomainError } from "#common/domain-error.ts";
import { signDigest } from "#common/intent/signature.ts";
import { migrateAtStart } from "#common/postgres/migrate.ts";
import { createPool, type Pool } from "#common/postgres/pool.ts";
import { createLogger } from "#common/process/logger.ts";
import { newUuidV7 } from "#common/uuid.ts";
import { auditConfig } from "../../../cli/audit/config.ts";
import type { Finding } from "../../../cli/audit/finding.ts";
import { runAudit } from "../../../cli/audit/run.ts";
import { attestorConfig } from "../../../services/attestor/config.ts";
import { type AttestorDeps, createAttestorDeps } from "../../../services/attestor/deps.ts";
import {
  createCheckoutStore,
  migrations,
} from "../../../services/checkout/drivers/postgres/store.ts";
import {
  createStripe,
  type StripeGateway,
} from "../../../services/checkout/drivers/stripe/gateway.ts";
import { type Checkouts, createCheckouts } from "../../../services/checkout/order/checkouts.ts";
import {
  createFulfilments,
  type Fulfilments,
} from "../../../services/checkout/order/fulfilment.ts";
import {
  type CheckoutRecord,
  currentAttempt,
  type Item,
  type PaymentMethod,
  purchaseOf,
} from "../../../services/checkout/order/record.ts";
import { createCheckoutWatch } from "../../../services/checkout/order/watch.ts";
import type { CheckoutStore, Peers } from "../../../services/checkout/ports.ts";
import { createRefunds, type Refunds } from "../../../services/checkout/refunds/give-back.ts";
import type { RaiseAlarm, Settler } from "../../../services/checkout/settle/ports.ts";
import { createSettler } from "../../../services/checkout/settle/steps.ts";
import type { ClearingDeps } from "../../../services/clearing/deps.ts";
import { type StartedStripeSim, startStripeSim } from "../../../services/stripe-sim/start.ts";
import { ClearingWorld, chart, clearOne, newKey, operator, soon } from "../clearing/world.ts";
import type { TestEngine } from "../ledger/tigerbeetle.ts";
import { openDatabase } from "../postgres/database.ts";
import type { TestDatabase } from "../postgres/postgres.ts";

const secretKey = "sk_test_simulator_0";

/** What the world is made of; `stop` ends it in the reverse order. */
interface Parts {
  readonly records: TestDatabase;
  readonly world: ClearingWorld;
  readonly clearing: ClearingDeps;
  readonly attestor: AttestorDeps;
  readonly sim: StartedStripeSim;
  readonly gateway: StripeGateway;
  readonly pool: Pool;
}

/** The core of Checkout among the real Attestor, Clearing and PostgreSQL in this process, and the simulator of Stripe. */
export class CheckoutCoreWorld {
  readonly store: CheckoutStore;
  readonly settler: Settler;
  readonly checkouts: Checkouts;
  readonly refunds: Refunds;
  readonly fulfilments: Fulfilments;
  /** The merchant's own way to Stripe: the dashboard, and the shopper's browser. */
  readonly stripe: Stripe;
  readonly sim: StartedStripeSim;
  /** What operators were told: the end and the checkout. */
  readonly alarms: [string, string][] = [];
  readonly #parts: Parts;
  #orders = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
    const { gateway, pool, sim } = parts;
    const nowMs = Date.now;
    const alarm: RaiseAlarm = ({ end, intentId }) => this.alarms.push([end, intentId]);
    const { payments } = gateway;
    const peers = peersOf(parts);
    const store = createCheckoutStore(pool, () => {});
    const settler = createSettler({ store, peers, payments, nowMs, alarm });
    this.store = store;
    this.settler = settler;
    this.refunds = createRefunds({ store, payments, settler, nowMs, alarm });
    const honoringAgentId = chart.instacart;
    this.fulfilments = createFulfilments({ store, settler, nowMs, honoringAgentId });
    const changes = createCheckoutWatch(1, () => new Error("nobody watches here"));
    const lifetimeMs = 1_800_000;
    this.checkouts = createCheckouts({
      store,
      settler,
      peers,
      payments,
      changes,
      lifetimeMs,
      openPerWallet: 20,
      rate: { take: () => {}, giveBack: () => {} },
      nowMs,
    });
    this.sim = sim;
    this.stripe = new Stripe(secretKey, {
      host: "127.0.0.1",
      port: sim.port,
      protocol: "http",
      telemetry: false,
    });
  }

  /** An order that was paid and has cleared. */
  async buy(
    items: readonly Item[],
    paymentMethod: PaymentMethod = "CARD",
  ): Promise<CheckoutRecord> {
    const { order } = await this.pay(items, paymentMethod);
    const record = await this.settler.settle(order.intentId, soon());
    if (record.order.state !== "CLEARED") throw new Error(`it is ${record.order.state}`);
    return record;
  }

  /** An order that was paid; by card, nobody has told Checkout. `confirm` false: the shopper has yet to. */
  async pay(
    items: readonly Item[],
    paymentMethod: PaymentMethod = "CARD",
    { confirm = true } = {},
  ): Promise<CheckoutRecord> {
    const key = newKey();
    this.#orders += 1;
    const request = {
      intentId: newUuidV7(),
      wallet: key.address,
      merchantId: "market-1",
      orderId: `A-${this.#orders}`,
      items,
      expectedAmount: undefined,
      paymentMethod,
      walletSignature: "",
      burnPoscr: false,
    };
    const { record } = await this.checkouts.create(request, operator, soon());
    if (paymentMethod === "CARD") {
      if (confirm) await this.confirm(record);
      return record;
    }
    const { world, clearing } = this.#parts;
    await clearing.clearing.openWallet(key.address, 1, operator, soon());
    await clearOne(clearing, world.funding(key.address, record.order.amount));
    const digest = world.digest(currentAttempt(purchaseOf(record)).intent);
    const walletSignature = signDigest(digest, key.privateKey);
    const signed = { ...request, walletSignature };
    return (await this.checkouts.create(signed, operator, soon())).record;
  }

  /** The shopper pays by card. */
  async confirm({ order }: CheckoutRecord): Promise<void> {
    await this.stripe.paymentIntents.confirm(order.paymentIntentId, {
      payment_method: "pm_card_visa",
      return_url: "https://shop.test/",
    });
  }

  /** Adds refunds to an order that are not to be told from ones that Stripe refused. */
  async addFailedRefunds({ order }: CheckoutRecord, count: number): Promise<void> {
    const { pool } = this.#parts;
    const ids = Array.from({ length: count }, () => newUuidV7());
    await pool.query(
      `insert into checkout_entry (entry_id, checkout_id, number, kind, state, portions, items)
       select id, $1, 1 + number, 'REFUND', 'FAILED', '[]', '[]' from unnest($2::uuid[]) with ordinality as _ (id, number)`,
      [order.intentId, ids],
    );
    await pool.query(
      `insert into checkout_attempt (intent_id, entry_id, number, intent, state)
       select id, id, 1, a.intent, 'PENDING' from unnest($2::uuid[]) as _ (id), checkout_attempt a where a.intent_id = $1`,
      [order.intentId, ids],
    );
  }

  /** Makes an order one whose time was up so long ago, and nothing has changed since. */
  async setOverdue({ order }: CheckoutRecord, ms: number): Promise<void> {
    await this.#parts.pool.query(
      `update checkout_order set next_check_time = now(),
         expire_time = now() - $2 * interval '1 millisecond',
         change_time = now() - ($2 + 60000) * interval '1 millisecond' where intent_id = $1`,
      [order.intentId, ms],
    );
  }

  /** What a wallet or an obligation holds, cents. */
  available(accountId: bigint): Promise<bigint> {
    return this.#parts.world.available(accountId);
  }

  /** What the ledger says that Stripe owes us, and what Stripe says: charged less refunded. Cents. */
  async settlement(): Promise<{ readonly ledger: bigint; readonly stripe: bigint }> {
    const { charged, refunded } = this.sim.control.state().money["usd"] ?? noMoney;
    return {
      ledger: -(await this.available(chart.stripe)),
      stripe: BigInt(charged - refunded),
    };
  }

  /** What an audit of the whole ledger finds. */
  async audit(): Promise<Finding[]> {
    const findings: Finding[] = [];
    await runAudit(auditConfig(this.#parts.world.environment()), {
      findingsMax: 100,
      onFinding: (finding) => findings.push(finding),
      onProgress: () => undefined,
    });
    return findings;
  }

  async stop(): Promise<void> {
    const { gateway, sim, pool, attestor, world, records } = this.#parts;
    gateway.close();
    await sim.stop();
    await pool.end();
    await attestor.close();
    await world.close();
    await records.stop();
  }
}

const noMoney = { charged: 0, refunded: 0 };

/** Starts a world with a ledger, records and a Stripe of its own. */
export async function startCheckoutCoreWorld(engine: TestEngine): Promise<CheckoutCoreWorld> {
  const [records, running, sim] = await Promise.all([
    openDatabase(),
    engine.start(),
    startStripeSim(),
  ]);
  const { databaseUrl } = records;
  const world = new ClearingWorld(running, databaseUrl);
  const key = Buffer.from(world.signer.privateKey).toString("hex");
  const clearing = await world.openReplica();
  const attestor = await createAttestorDeps(
    attestorConfig({ ...world.environment(), ATTESTOR_PRIVATE_KEY: key }),
    { logger: createLogger("attestor", "silent") },
  );
  await migrateAtStart(databaseUrl, "checkout", migrations);
  const pool = createPool({ databaseUrl, applicationName: "test", role: "sovr_checkout" });
  const gateway = createStripe({
    secretKey,
    webhookSecrets: ["whsec_00000000"],
    apiUrl: new URL(sim.url),
  });
  return new CheckoutCoreWorld({ records, world, clearing, attestor, sim, gateway, pool });
}

/** Attestor and Clearing without the network between. */
function peersOf({ attestor, clearing }: Parts): Peers {
  const scopes = new Set(["attest", "attest.house"]);
  const { clearing: house } = clearing;
  return {
    async openWallet(wallet, ledger, limit) {
      await house.openWallet(wallet, ledger, operator, limit);
    },
    attest: (intent, walletSignature, limit) =>
      attestor.attestor.attest({
        intent,
        walletSignature,
        validateOnly: false,
        caller: { scopes, wallet: undefined },
        limit,
      }),
    clear: async (evidence, limit) =>
      (await clearOne(clearing, { ...evidence, validateOnly: false }, limit)).commitTimestamp,
    async findAttestation(intentId, limit) {
      try {
        return (await house.read(intentId, operator, limit)).evidence.attestation;
      } catch (error) {
        if (error instanceof DomainError && error.kind === "INTENT_NOT_FOUND") return undefined;
        throw error;
      }
    },
  };
}
