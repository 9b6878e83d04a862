// What a sale takes: CreateCheckout, from Stripe's word to the shopper's screen, the event, the check of an attestation.
import { readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import type { Stripe } from "stripe";
import { createRpcClient, type RpcClient } from "#common/rpc/client.ts";
import { CheckoutState } from "#gen/sovr/checkout/v1/checkout_pb.ts";
import { CheckoutService } from "#gen/sovr/checkout/v1/checkout_service_pb.ts";
import { EventStreamService } from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { keyFiles } from "../cli/state/keys.ts";
import { createStripe } from "../test/support/stripe/calls.ts";
import { newCardOrder } from "./load/checkout-calls.ts";
import type { RpcTask } from "./load/task.ts";
import {
  type Aim,
  clearTask,
  latencyLine,
  lineOf,
  type Measure,
  type Measured,
  measured,
} from "./measured.ts";
import { type BenchWorld, measureLoad } from "./world.ts";

/** Everything goes through Envoy, as it does for a shopper. */
export const checkoutMeasures: readonly Measure[] = [
  { id: "checkout", run: measureCreate },
  { id: "checkout-clear", run: measureWebhook },
  { id: "event", run: measureEvent },
  { id: "check", run: measureCheck },
];

const callMs = 10_000;
/** What has not run yet is not compiled yet, and a queue that begins so takes seconds to go. */
const warmUpSeconds = 3;

function warmUp(task: RpcTask, perSecond: number): RpcTask {
  return { ...task, seconds: warmUpSeconds, callsMax: perSecond * warmUpSeconds };
}

interface Paced extends Pick<RpcTask, "kind" | "connections"> {
  readonly name: string;
  readonly perSecond: number;
  readonly aims: readonly Aim[];
}

/** The latency of calls through Envoy that come at a pace. */
async function measurePaced(world: BenchWorld, paced: Paced): Promise<Measured[]> {
  const { name, kind, connections, perSecond, aims } = paced;
  const task = clearTask(world, {
    kind,
    address: world.mesh.address,
    pace: { perSecond },
    connections,
    callsMax: perSecond * world.seconds,
  });
  await measureLoad([warmUp(task, perSecond)]);
  const result = await measured(world, () => measureLoad([task]));
  return [{ ...lineOf(`${name}, ${perSecond} a second`, ...result), aims }];
}

function measureCreate(world: BenchWorld): Promise<Measured[]> {
  return measurePaced(world, {
    name: "CreateCheckout by card",
    kind: "create-checkout",
    connections: 4,
    perSecond: 50,
    aims: [{ field: "p99Ms", max: 200 }],
  });
}

/** What a webhook is measured with. */
interface Shop {
  readonly world: BenchWorld;
  readonly checkout: RpcClient<typeof CheckoutService>;
  readonly stripe: Stripe;
  readonly webhookSecret: string;
}

/**
 * From the arrival of Stripe's webhook at Envoy until who watches the checkout sees CLEARED. The simulator keeps its
 * own webhooks back meanwhile, so that the moment is known.
 */
async function measureWebhook(world: BenchWorld): Promise<Measured[]> {
  const { settings, address } = world.mesh;
  const keys = keyFiles(settings).stripe;
  const simulator = `http://${settings.host}:${settings.ports.stripeSim}`;
  const command = (method: string, body?: string) =>
    fetch(`${simulator}/_sim/faults`, { method, ...(body === undefined ? {} : { body }) });
  using checkout = createRpcClient(CheckoutService, {
    address,
    token: async () => world.task.token,
    defaultTimeoutMs: callMs,
  });
  const shop: Shop = {
    world,
    checkout,
    stripe: createStripe(simulator, { key: readFileSync(keys.secretKey, "utf8") }),
    webhookSecret: readFileSync(keys.webhookSecret, "utf8"),
  };
  await command("PATCH", '{"paused": true}');
  try {
    const latenciesMs: number[] = [];
    const endMs = performance.now() + world.seconds * 1_000;
    while (performance.now() < endMs) latenciesMs.push(await clearByWebhook(shop));
    const line = latencyLine("webhook to CLEARED at who watches", latenciesMs);
    return [{ ...line, aims: [{ field: "p50Ms", max: 50 }] }];
  } finally {
    await command("DELETE");
  }
}

async function clearByWebhook({ world, ...shop }: Shop): Promise<number> {
  const order = newCardOrder(world.task.walletKeys);
  const { paymentIntentId } = await shop.checkout.createCheckout(order);
  const key = { case: "intentId" as const, value: order.intentId };
  const watched = shop.checkout
    .watchCheckout({ key }, { timeoutMs: callMs })
    [Symbol.asyncIterator]();
  await watched.next();
  await shop.stripe.paymentIntents.confirm(paymentIntentId, { payment_method: "pm_card_visa" });
  const payload = await succeeded(shop.stripe, paymentIntentId);
  const secret = shop.webhookSecret;
  const signature = shop.stripe.webhooks.generateTestHeaderString({ payload, secret });
  const startMs = performance.now();
  const posted = fetch(`http://${world.mesh.address}/webhooks/stripe`, {
    method: "POST",
    headers: { "content-type": "application/json", "stripe-signature": signature },
    body: payload,
  });
  for (;;) {
    const { done, value } = await watched.next();
    if (done === true) throw new Error("the checkout was not cleared");
    if (value.checkout?.state === CheckoutState.CLEARED) break;
  }
  const tookMs = performance.now() - startMs;
  await watched.return?.();
  const { status } = await posted;
  if (status !== 200) throw new Error(`the webhook was answered with ${status}`);
  return tookMs;
}

/** The event of a payment that succeeded, as Stripe would post it. */
async function succeeded(stripe: Stripe, paymentIntentId: string): Promise<string> {
  const { data } = await stripe.events.list({ type: "payment_intent.succeeded", limit: 10 });
  const event = data.find(
    ({ data: { object } }) => "id" in object && object.id === paymentIntentId,
  );
  if (event === undefined) throw new Error(`Stripe told nothing of ${paymentIntentId}`);
  return JSON.stringify(event);
}

/** From the ledger's own commit time until a subscriber has the event, under a light load. */
async function measureEvent(world: BenchWorld): Promise<Measured[]> {
  const perSecond = 25;
  const { address } = world.mesh;
  const task = clearTask(world, {
    address,
    pace: { perSecond },
    connections: 2,
    callsMax: perSecond * world.seconds,
  });
  using events = createRpcClient(EventStreamService, {
    address,
    token: async () => world.task.token,
    defaultTimeoutMs: callMs,
  });
  const latenciesMs: number[] = [];
  const stop = new AbortController();
  const opened = Promise.withResolvers<void>();
  const wallMs = wallClock();
  const listening = (async () => {
    for await (const { message } of events.subscribe({}, { signal: stop.signal })) {
      if (message.case === "opened") opened.resolve();
      if (message.case === "event")
        latenciesMs.push(wallMs() - millisecondsOf(message.value.commitTime));
    }
  })();
  listening.catch(opened.reject);
  await opened.promise;
  const { done: before } = await measureLoad([warmUp(task, perSecond)]);
  const { done } = await measureLoad([task]);
  const patience = AbortSignal.timeout(callMs);
  while (latenciesMs.length < before + done && !patience.aborted) await sleep(20);
  stop.abort();
  await listening.catch(() => undefined);
  const counted = latenciesMs.slice(before);
  if (counted.length < done) throw new Error(`${counted.length} of ${done} events came`);
  const line = latencyLine(`event at a subscriber, ${perSecond} a second`, counted);
  return [{ ...line, aims: [{ field: "p50Ms", max: 10 }] }];
}

/** The wall clock at a finer grain than its own, by a clock that does not jump. */
function wallClock(): () => number {
  const beganMs = Date.now();
  let nowMs = beganMs;
  while (nowMs === beganMs) nowMs = Date.now();
  const offsetMs = nowMs - performance.now();
  return () => offsetMs + performance.now();
}

function millisecondsOf(time: Timestamp | undefined): number {
  return time === undefined ? Number.NaN : Number(time.seconds) * 1_000 + time.nanos / 1e6;
}

function measureCheck(world: BenchWorld): Promise<Measured[]> {
  return measurePaced(world, {
    name: "VerifyAttestation",
    kind: "verify",
    connections: 2,
    perSecond: 100,
    aims: [{ field: "p99Ms", max: 100 }],
  });
}
