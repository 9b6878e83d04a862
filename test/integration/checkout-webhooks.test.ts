/**
 * Goal: what Stripe tells is taken in once, whatever happens to it on the way, and nothing that Stripe has not told.
 * Method: the real route through `serve`, the real store on PostgreSQL, and the simulator as Stripe. What is done about an
 * event is written down instead of done: it has tests of its own.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { PassThrough } from "node:stream";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { contracts } from "#common/contracts.ts";
import { DomainError } from "#common/domain-error.ts";
import { migrate } from "#common/postgres/migrate.ts";
import { createPool, type Pool } from "#common/postgres/pool.ts";
import { createLogger } from "#common/process/logger.ts";
import { runtimeConfig } from "#common/rpc/runtime-config.ts";
import { type Running, serve } from "#common/rpc/serve.ts";
import { startWebhooks, type WebhookDeps, type Webhooks } from "../../services/checkout/deps.ts";
import { createWebhookStore } from "../../services/checkout/drivers/postgres/webhook-store.ts";
import {
  createStripe,
  type StripeGateway,
} from "../../services/checkout/drivers/stripe/gateway.ts";
import type { CheckoutRecord } from "../../services/checkout/order/record.ts";
import type { WebhookState } from "../../services/checkout/webhooks/ports.ts";
import { webhookBytesMax } from "../../services/checkout/webhooks/route.ts";
import { webhookTimes } from "../../services/checkout/webhooks/worker.ts";
import { type StartedStripeSim, startStripeSim } from "../../services/stripe-sim/start.ts";
import { signWebhook } from "../../services/stripe-sim/webhooks/signature.ts";
import { startPostgres, type TestPostgres } from "../support/postgres/postgres.ts";
import { freePort } from "../support/rpc/free-port.ts";
import { createTokenIssuer, type TokenIssuer } from "../support/rpc/token-issuer.ts";

const secrets = ["whsec_thenewone", "whsec_theoldone"];
const secretKey = "sk_test_webhooks";
const logged: string[] = [];

let postgres: TestPostgres;
let issuer: TokenIssuer;
let sim: StartedStripeSim;
let stripe: StripeGateway;
let owner: Pool;
let connectPort: number;
const servers: Receiver[] = [];

beforeAll(async () => {
  connectPort = await freePort();
  [postgres, issuer, sim] = await Promise.all([
    startPostgres(),
    createTokenIssuer(),
    startStripeSim({
      keys: [secretKey],
      webhook: { url: `http://127.0.0.1:${connectPort}/webhooks/stripe`, secrets },
      settings: { retryFirstMs: 50, retryMaxMs: 200 },
    }),
  ]);
  stripe = createStripe({ secretKey, webhookSecrets: secrets, apiUrl: new URL(sim.url) });
  owner = createPool({ databaseUrl: postgres.databaseUrl, applicationName: "test" });
  await migrate(owner, "checkout", new URL("../../services/checkout/migrations/", import.meta.url));
});
afterAll(async () => {
  stripe?.close();
  await sim?.stop();
  await owner?.end();
  await postgres?.stop();
  issuer?.[Symbol.dispose]();
});
beforeEach(async () => {
  settled = [];
  stuck.clear();
  slow.clear();
  await owner.query("truncate checkout_webhook_event, checkout_webhook_sweep");
  // Only the tests of the sweep sweep.
  await owner.query("insert into checkout_webhook_sweep values (true, now(), 'infinity')");
});
afterEach(async () => {
  sim.control.clearFaults();
  for (const server of servers.splice(0)) await server.stop();
});

interface Receiver {
  readonly url: string;
  readonly metricsUrl: string;
  readonly runtime: Webhooks;
  stop(): Promise<void>;
}

type ReceiverOptions = Pick<WebhookDeps, "workerTimes" | "sweepTimes"> & {
  readonly port?: number;
};

/** Checkouts that were settled, by the payment that each is named after. */
let settled: string[] = [];
/** Checkouts that cannot be settled now. */
const stuck = new Set<string>();
/** Checkouts that take until they are told to stop. */
const slow = new Set<string>();
const settler: WebhookDeps["settler"] = {
  async settle(intentId, { signal }) {
    if (stuck.has(intentId)) throw new DomainError("PAYMENTS_UNAVAILABLE", "come back later");
    settled.push(intentId);
    if (slow.has(intentId) && signal !== undefined) {
      await once(signal, "abort");
      throw new DomainError("PAYMENTS_UNAVAILABLE", "told to stop");
    }
    return {} as CheckoutRecord;
  },
};

/** Hears Stripe as one replica of Checkout does. Every payment counts as one of ours. */
async function startReceiver(options: ReceiverOptions = {}): Promise<Receiver> {
  const lines = new PassThrough().setEncoding("utf8").on("data", (line) => logged.push(line));
  const logger = createLogger("checkout", "debug", { format: "json", destination: lines });
  const pool = createPool({
    databaseUrl: postgres.databaseUrl,
    applicationName: "test-checkout",
    role: "sovr_checkout",
  });
  const runtime = startWebhooks({
    webhooks: createWebhookStore(pool, () => undefined),
    store: { findByPayment: async (id) => id, read: async () => undefined },
    stripe,
    refunds: { syncFromStripe: async () => ({}) as CheckoutRecord },
    nowMs: Date.now,
    logger,
    settler,
    workerTimes: { pollMs: 50, ...options.workerTimes },
    sweepTimes: { everyMs: 600_000, ...options.sweepTimes },
  });
  const any = "127.0.0.1:0";
  const running: Running = await serve({
    config: runtimeConfig("checkout", {
      JWT_JWKS_FILE: issuer.jwksPath,
      GRPC_ADDRESS: any,
      METRICS_ADDRESS: any,
      CONNECT_ADDRESS: `127.0.0.1:${options.port ?? 0}`,
      DRAIN_DELAY_MS: "0",
    }),
    mounts: [],
    routes: { "/webhooks/stripe": runtime.route },
    contracts,
    dependencies: [],
    close: async () => {
      await runtime.stop();
      await pool.end();
    },
    logger,
  });
  const receiver = {
    url: `http://127.0.0.1:${running.ports.connect}/webhooks/stripe`,
    metricsUrl: `http://127.0.0.1:${running.ports.metrics}/metrics`,
    runtime,
    stop: () => running.stop(),
  };
  servers.push(receiver);
  return receiver;
}

const type = "payment_intent.succeeded";

function eventBody(id: string, eventType = type): string {
  const created = Math.floor(Date.now() / 1_000);
  const object = { object: "payment_intent", id: `pi_${id}` };
  return JSON.stringify({
    id: `evt_${id}`,
    object: "event",
    type: eventType,
    created,
    data: { object },
  });
}

function signatureOf(body: string, secret = secrets[0] ?? "", ageSeconds = 0): string {
  return signWebhook(body, [secret], Math.floor(Date.now() / 1_000) - ageSeconds);
}

async function post(url: string, body: string, signature = signatureOf(body)): Promise<number> {
  const headers = { "content-type": "application/json", "stripe-signature": signature };
  const response = await fetch(url, { method: "POST", headers, body });
  const answer = await response.json();
  expect(answer).toEqual(response.ok ? { received: true } : { error: expect.any(String) });
  return response.status;
}

async function scrape(metricsUrl: string): Promise<string> {
  return (await fetch(metricsUrl)).text();
}

/** How many events are stored, by state. */
async function counts(): Promise<Partial<Record<WebhookState, number>>> {
  const { rows } = await owner.query<{ state: WebhookState; count: number }>(
    "select state, count(*)::integer as count from checkout_webhook_event group by state",
  );
  return Object.fromEntries(rows.map(({ state, count }) => [state, count]));
}

function expectCounts(wanted: Partial<Record<WebhookState, number>>) {
  return expect.poll(counts, { interval: 20 }).toEqual(wanted);
}

/** Asks the simulator as a shopper's browser or the account's owner would. */
async function callStripe(path: string, params: Record<string, string>): Promise<{ id: string }> {
  const response = await fetch(`${sim.url}/v1/${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${secretKey}` },
    body: new URLSearchParams(params),
  });
  expect(response.status, path).toBe(200);
  return (await response.json()) as { id: string };
}

/** Makes a payment of a card that is good. Returns its id. */
async function pay(): Promise<string> {
  const { id } = await callStripe("payment_intents", {
    amount: "350",
    currency: "usd",
    "allowed_payment_method_types[0]": "card",
  });
  await callStripe(`payment_intents/${id}/confirm`, { payment_method: "pm_card_visa" });
  return id;
}

describe("the route", () => {
  it("stores what Stripe has signed, with any of the secrets, and refuses everything else", async () => {
    const { url } = await startReceiver();
    for (const [index, secret] of secrets.entries()) {
      const body = eventBody(`signed${index}`);
      expect(await post(url, body, signatureOf(body, secret))).toBe(200);
    }
    await expectCounts({ DONE: 2 });
    const body = eventBody("refused");
    expect(await post(url, body, signatureOf(body, "whsec_nobodys"))).toBe(400);
    expect(await post(url, body, signatureOf(body, secrets[0], 310))).toBe(400);
    expect(await post(url, body, signatureOf(body, secrets[0], -310))).toBe(400);
    expect(await post(url, body.replace("pi_refused", "pi_other"), signatureOf(body))).toBe(400);
    expect(await post(url, body, "")).toBe(400);
    expect(await post(url, "not JSON")).toBe(400);
    expect(await counts()).toEqual({ DONE: 2 });
    expect(settled.sort()).toEqual(["pi_signed0", "pi_signed1"]);
  });

  it("takes POST and 256 KiB, and goes on after what is too large", async () => {
    const { url } = await startReceiver();
    for (const method of ["GET", "PUT", "DELETE"]) {
      const response = await fetch(url, { method });
      expect([response.status, response.headers.get("allow")], method).toEqual([405, "POST"]);
    }
    const large = eventBody("large").padEnd(webhookBytesMax, " ");
    expect(await post(url, large)).toBe(200);
    expect(await post(url, `${large} `)).toBe(413);
    const chunked = new ReadableStream({
      start(controller) {
        for (let sent = 0; sent <= webhookBytesMax; sent += 65_536) {
          controller.enqueue(new Uint8Array(65_536));
        }
        controller.close();
      },
    });
    const streamed = await fetch(url, {
      method: "POST",
      body: chunked,
      duplex: "half",
    } as RequestInit);
    expect(streamed.status).toBe(413);
    expect(await post(url, eventBody("after"))).toBe(200);
    await expectCounts({ DONE: 2 });
  });

  it("answers and forgets what concerns no checkout", async () => {
    const { url } = await startReceiver();
    expect(await post(url, eventBody("created", "payment_intent.created"))).toBe(200);
    expect(await post(url, eventBody("payout", "payout.paid"))).toBe(200);
    expect(await counts()).toEqual({});
  });

  it("counts what came, and shows no secret", async () => {
    const { url, metricsUrl } = await startReceiver();
    await post(url, eventBody("counted"));
    await post(url, eventBody("counted"));
    await post(url, eventBody("forged"), "t=1,v1=00");
    await expectCounts({ DONE: 1 });
    for (const line of [
      /webhook_attempts_total\{state="DONE",type="payment_intent.succeeded"\} \d/,
      /webhook_deliveries_total\{outcome="STORED",type="payment_intent.succeeded"\} \d/,
      /webhook_deliveries_total\{outcome="KNOWN",type="payment_intent.succeeded"\} \d/,
      /webhook_deliveries_total\{outcome="SIGNATURE_INVALID",type=""\} \d/,
      /webhook_pending \d/,
      /webhook_dead \d/,
      /webhook_oldest_pending_seconds \d/,
    ]) {
      await expect.poll(() => scrape(metricsUrl)).toMatch(line);
    }
    const lines = logged.join("");
    expect(lines).toContain('"outcome":"SIGNATURE_INVALID"');
    expect(lines).not.toMatch(/whsec_|sk_test_|_secret_|v1=/);
  });
});

describe("an event", () => {
  it("that comes many times is taken in once", async () => {
    const { url } = await startReceiver();
    const body = eventBody("twice");
    const statuses = await Promise.all(Array.from({ length: 10 }, () => post(url, body)));
    expect(new Set(statuses)).toEqual(new Set([200]));
    await expectCounts({ DONE: 1 });
    expect(await post(url, body)).toBe(200);
    expect(settled).toEqual(["pi_twice"]);
  });

  it("of a burst of 500 is taken in once by one of two replicas", async () => {
    const receivers = [await startReceiver(), await startReceiver()];
    const ids = Array.from({ length: 500 }, (_, index) => `burst${index}`);
    const statuses = await Promise.all(
      ids.map((id, index) => post(receivers[index % 2]?.url ?? "", eventBody(id))),
    );
    expect(new Set(statuses)).toEqual(new Set([200]));
    await expectCounts({ DONE: 500 });
    expect(settled.sort()).toEqual(ids.map((id) => `pi_${id}`).sort());
  });

  it("that cannot be processed is tried again, then dead, listed, replayed, and done", async () => {
    const workerTimes = { firstDelayMs: 20, delayMsMax: 40, attemptsMax: 3 };
    const { url, runtime } = await startReceiver({ workerTimes });
    stuck.add("pi_stuck");
    for (const id of ["stuck", "fine1", "fine2"]) await post(url, eventBody(id));
    await expectCounts({ DEAD: 1, DONE: 2 });
    const { events, next } = await runtime.events.list({ state: "DEAD" }, undefined, 10);
    expect(next).toBeUndefined();
    expect(events).toMatchObject([
      {
        eventId: "evt_stuck",
        type,
        paymentIntentId: "pi_stuck",
        state: "DEAD",
        attempts: 3,
        lastError: "PAYMENTS_UNAVAILABLE: come back later",
        receiveTimeMs: expect.any(Number),
        processTimeMs: expect.any(Number),
      },
    ]);
    expect(await post(url, eventBody("stuck"))).toBe(200);
    expect(await counts()).toEqual({ DEAD: 1, DONE: 2 });
    stuck.clear();
    expect(await runtime.events.replay("evt_stuck")).toMatchObject({
      state: "PENDING",
      attempts: 0,
    });
    await expectCounts({ DONE: 3 });
    expect(settled).toContain("pi_stuck");
    await expect(runtime.events.replay("evt_none")).rejects.toMatchObject({
      kind: "WEBHOOK_EVENT_NOT_FOUND",
      metadata: { eventId: "evt_none" },
    });
  });

  it("is listed newest first, in pages that leave nothing out", async () => {
    const { url, runtime } = await startReceiver();
    for (let index = 0; index < 5; index += 1) await post(url, eventBody(`page${index}`));
    await expectCounts({ DONE: 5 });
    for (const state of [undefined, "DONE"] as const) {
      const seen: string[] = [];
      let after: string | undefined;
      do {
        const page = await runtime.events.list({ state }, after, 2);
        seen.push(...page.events.map(({ eventId }) => eventId));
        after = page.next;
      } while (after !== undefined);
      expect(seen).toEqual([4, 3, 2, 1, 0].map((index) => `evt_page${index}`));
    }
    expect((await runtime.events.list({ state: "DEAD" }, undefined, 2)).events).toEqual([]);
  });

  it("whose worker is killed in the middle is processed by another", async () => {
    const script = fileURLToPath(
      new URL("../support/stripe/webhook-worker-process.ts", import.meta.url),
    );
    const leaseMs = 60_000;
    const child = spawn(process.execPath, [script, postgres.databaseUrl, String(leaseMs)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    try {
      await createWebhookStore(owner, () => undefined).insert([
        { eventId: "evt_killed", type, paymentIntentId: "pi_killed", createTimeMs: Date.now() },
      ]);
      const [taken] = await once(child.stdout, "data");
      expect(String(taken)).toBe("evt_killed\n");
    } finally {
      child.kill("SIGKILL");
    }
    const { runtime } = await startReceiver();
    // Its time passes: a lease that the test waits for could end while the worker still lives.
    const passed = await owner.query(
      `update checkout_webhook_event set next_attempt_time = next_attempt_time - $1 * interval '1 millisecond'
       where next_attempt_time > now()`,
      [leaseMs],
    );
    expect(passed.rowCount).toBe(1);
    await expectCounts({ DONE: 1 });
    expect(settled).toEqual(["pi_killed"]);
    const { events } = await runtime.events.list({ state: undefined }, undefined, 1);
    expect(events[0]?.attempts).toBe(2);
  });

  it("that every worker has died of is dead, and not begun again", async () => {
    await createWebhookStore(owner, () => undefined).insert([
      { eventId: "evt_poison", type, paymentIntentId: "pi_poison", createTimeMs: Date.now() },
    ]);
    await owner.query("update checkout_webhook_event set attempts = $1", [
      webhookTimes.attemptsMax,
    ]);
    const { runtime } = await startReceiver();
    await expectCounts({ DEAD: 1 });
    expect(settled).toEqual([]);
    const { events } = await runtime.events.list({ state: "DEAD" }, undefined, 1);
    expect(events[0]?.lastError).toBe("Error: no attempt came to its end");
  });

  it("that is in work when the process is told to stop is taken back", async () => {
    const { url, stop } = await startReceiver();
    slow.add("pi_slow");
    await post(url, eventBody("slow"));
    await expect.poll(() => settled).toEqual(["pi_slow"]);
    await stop();
    const { rows } = await owner.query(
      "select state, attempts, next_attempt_time <= now() as due from checkout_webhook_event",
    );
    expect(rows).toEqual([{ state: "PENDING", attempts: 0, due: true }]);
  });
});

describe("with the simulator", () => {
  it("takes in what is sent twice, shuffled and before the API's answer, and nothing that is forged", async () => {
    await startReceiver({ port: connectPort });
    sim.control.setFaults({ duplicates: 2, shuffle_ms: 100, forge_rate: 1, early: true });
    const ids = await Promise.all([pay(), pay(), pay()]);
    await callStripe("refunds", { payment_intent: ids[0] ?? "", amount: "100" });
    expect(await sim.control.idle(30_000)).toBe(true);
    // A payment is told as succeeded; its refund as created, and as a change of its charge.
    await expectCounts({ DONE: 5 });
    expect(new Set(settled)).toEqual(new Set(ids));
    const { forged, forgedAccepted, givenUp } = sim.control.state().webhooks;
    expect(forged).toBeGreaterThan(0);
    expect([forgedAccepted, givenUp]).toEqual([0, 0]);
  });

  it("finds by itself what no webhook has brought, and sweeps it once", async () => {
    sim.control.setFaults({ drop_rate: 1 });
    const id = await pay();
    await owner.query("update checkout_webhook_sweep set swept_to = now(), held_until = now()");
    const { metricsUrl } = await startReceiver({ sweepTimes: { everyMs: 100 } });
    await expect.poll(() => settled).toContain(id);
    await expect.poll(() => scrape(metricsUrl)).toMatch(/webhook_swept_total \d/);
    const late = await pay();
    await expect.poll(() => settled).toContain(late);
    expect(settled.filter((payment) => payment === id)).toEqual([id]);
  });
});

describe("without PostgreSQL", () => {
  it("answers 503 until it is back, and then loses nothing", async () => {
    const { url } = await startReceiver();
    expect(await post(url, eventBody("before"))).toBe(200);
    await expectCounts({ DONE: 1 });
    await owner.end();
    await postgres.kill();
    expect(await post(url, eventBody("meanwhile"))).toBe(503);
    await postgres.restart();
    owner = createPool({ databaseUrl: postgres.databaseUrl, applicationName: "test" });
    await expect.poll(() => post(url, eventBody("meanwhile")), { interval: 50 }).toBe(200);
    await expectCounts({ DONE: 2 });
    expect(settled).toEqual(["pi_before", "pi_meanwhile"]);
  });
});
