import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "#common/process/logger.ts";
import type { Faults } from "../control/faults.ts";
import { newId, randomText } from "../objects/ids.ts";
import type { Store } from "../objects/store.ts";
import type { Delivery, StoredEvent } from "../objects/stored.ts";
import { signWebhook } from "./signature.ts";

const inFlightMax = 16;
const faultPauseMs = 1_000;
/** Sent at once before an answer. */
const togetherMax = 64;
const attemptTimeoutMs = 10_000;
/** Stripe's own window is 300 seconds. */
const oldSeconds = 600;

export interface SenderOptions {
  readonly store: Store;
  readonly faults: Faults;
  readonly logger: Logger;
  /** The secrets of an endpoint; undefined if there is no such endpoint any more. */
  readonly target: (
    endpoint: string,
  ) => { readonly url: string; readonly secrets: readonly string[] } | undefined;
  readonly nowMs: () => number;
  readonly retryFirstMs: number;
  readonly retryMaxMs: number;
  readonly attemptsMax: number;
}

export interface SenderCounts {
  attempts: number;
  /** Answered with 2xx. */
  delivered: number;
  givenUp: number;
  forged: number;
  /** Forged ones that were answered with 2xx: a mistake of who answered. */
  forgedAccepted: number;
}

export type WebhooksSender = ReturnType<typeof createWebhooksSender>;

/** Sends what is in the store until it is answered with 2xx: up to 16 at a time, each attempt at most ten seconds. */
export function createWebhooksSender(options: SenderOptions) {
  const { store, faults, logger, nowMs } = options;
  const counts: SenderCounts = {
    attempts: 0,
    delivered: 0,
    givenUp: 0,
    forged: 0,
    forgedAccepted: 0,
  };
  const inFlight = new Map<number, Promise<void>>();
  const stopped = new AbortController();
  let timer: NodeJS.Timeout | undefined;

  /** Starts what is due and sets the clock for what is next. */
  function wake(): void {
    clearTimeout(timer);
    if (stopped.signal.aborted || faults.settings.paused) return;
    // Those in flight are among the first; a few more are needed to see past them.
    for (const delivery of store.nextDeliveries(inFlightMax * 2)) {
      if (inFlight.has(delivery.id)) continue;
      if (inFlight.size >= inFlightMax) return;
      const waitMs = delivery.dueMs - nowMs();
      if (waitMs > 0) {
        timer = setTimeout(wake, Math.min(waitMs, 60_000));
        return;
      }
      void start(delivery);
    }
  }

  function start(delivery: Delivery): Promise<void> {
    const attempt = deliver(delivery)
      .catch((error: unknown) => {
        logger.error({ err: error }, "a webhook could not be sent");
        // Whatever is wrong here would be wrong again at once.
        return sleep(faultPauseMs, undefined, { signal: stopped.signal }).catch(() => undefined);
      })
      .finally(() => {
        inFlight.delete(delivery.id);
        wake();
      });
    inFlight.set(delivery.id, attempt);
    return attempt;
  }

  async function deliver(delivery: Delivery): Promise<void> {
    const event = store.find("event", delivery.event)?.body;
    const target = options.target(delivery.endpoint);
    if (event === undefined || target === undefined) {
      store.removeDelivery(delivery.id);
      return;
    }
    const { payload, signature } = sign(delivery, event, target.secrets);
    const status = await post(target.url, payload, signature);
    // A stop in the middle is no failure of the other side: it is sent again after the next start.
    if (stopped.signal.aborted && status === 0) return;
    counts.attempts += 1;
    const accepted = status >= 200 && status < 300;
    if (delivery.forgery !== "") {
      counts.forged += 1;
      if (accepted) counts.forgedAccepted += 1;
      store.removeDelivery(delivery.id);
    } else if (accepted) {
      counts.delivered += 1;
      store.removeDelivery(delivery.id);
    } else retryLater(delivery, event, status);
  }

  function retryLater(delivery: Delivery, event: StoredEvent, status: number): void {
    const attempts = delivery.attempts + 1;
    const about = { event: event.id, type: event.type, attempts, status };
    if (attempts >= options.attemptsMax) {
      counts.givenUp += 1;
      store.removeDelivery(delivery.id);
      logger.warn(about, "a webhook was given up");
      return;
    }
    const waitMs = Math.min(options.retryFirstMs * 2 ** (attempts - 1), options.retryMaxMs);
    store.postpone(delivery.id, attempts, nowMs() + waitMs);
    logger.debug({ ...about, waitMs }, "a webhook was not accepted");
  }

  function sign(delivery: Delivery, event: StoredEvent, secrets: readonly string[]) {
    const time = Math.floor(nowMs() / 1_000);
    if (delivery.forgery === "wrong_secret") {
      const payload = JSON.stringify(forge(event), null, 2);
      return { payload, signature: signWebhook(payload, [`whsec_${randomText(32)}`], time) };
    }
    const payload = JSON.stringify(event, null, 2);
    const signedAt = delivery.forgery === "" ? time : time - oldSeconds;
    return { payload, signature: signWebhook(payload, secrets, signedAt) };
  }

  /** The status of the answer, 0 for none. */
  async function post(url: string, payload: string, signature: string): Promise<number> {
    try {
      const response = await fetch(url, {
        method: "POST",
        headers: {
          "content-type": "application/json; charset=utf-8",
          "stripe-signature": signature,
          "user-agent": "Stripe/1.0 (simulator)",
          "sovr-stripe-simulator": "true",
        },
        body: payload,
        redirect: "manual",
        signal: AbortSignal.any([stopped.signal, AbortSignal.timeout(attemptTimeoutMs)]),
      });
      await response.body?.cancel();
      return response.status;
    } catch {
      return 0;
    }
  }

  return {
    counts: counts as Readonly<SenderCounts>,
    wake,

    /** Sends what is due of these events and waits for the answers, at most `timeoutMs`. */
    async deliverNow(events: readonly string[], timeoutMs: number): Promise<void> {
      if (faults.settings.paused) return;
      const attempts = events
        .flatMap((event) => store.deliveriesOf(event))
        .filter((delivery) => delivery.dueMs <= nowMs())
        .slice(0, togetherMax)
        .map((delivery) => inFlight.get(delivery.id) ?? start(delivery));
      const timeout = Promise.withResolvers<void>();
      const bound = setTimeout(timeout.resolve, timeoutMs);
      await Promise.race([Promise.all(attempts), timeout.promise]);
      clearTimeout(bound);
    },

    async stop(): Promise<void> {
      stopped.abort();
      clearTimeout(timer);
      await Promise.all(inFlight.values());
    },
  };
}

/** What somebody who knows no secret would like to be true. */
function forge(event: StoredEvent): object {
  const object = event.data.object as Readonly<Record<string, unknown>>;
  const id = newId("evt");
  if (object["object"] !== "payment_intent") return { ...event, id };
  const paid = { ...object, status: "succeeded", amount_received: object["amount"] };
  return { ...event, id, type: "payment_intent.succeeded", data: { object: paid } };
}
