import { setTimeout as sleep } from "node:timers/promises";
import type { Stripe } from "stripe";
import type { Call } from "../objects/call.ts";
import { invalidRequest, resourceMissing, StripeSimError } from "../objects/errors.ts";
import type { Store } from "../objects/store.ts";
import { authenticate } from "../payments/confirm.ts";
import { findIntent } from "../payments/intents.ts";
import { failRefund, succeedRefund } from "../payments/refunds.ts";
import { listEndpoints } from "../webhooks/endpoints.ts";
import type { SenderCounts, WebhooksSender } from "../webhooks/sender.ts";
import type { ApiFault, ApiFaultKind, FaultSettings, Faults, Forgery } from "./faults.ts";

/** What the simulator says about itself. */
export interface SimState {
  readonly faults: Readonly<FaultSettings>;
  readonly apiFaults: readonly Readonly<ApiFault>[];
  /** Objects by kind. */
  readonly objects: Readonly<Record<string, number>>;
  /** Deliveries that wait. */
  readonly waiting: number;
  readonly webhooks: Readonly<SenderCounts>;
  /** By currency: charged, refunded (failed refunds come back), and what the fees leave. Minor units. */
  readonly money: Readonly<Record<string, { charged: number; refunded: number; net: number }>>;
}

/** The commands. HTTP has the same under /_sim/. */
export type Control = ReturnType<typeof createControl>;

export interface ControlOptions {
  readonly store: Store;
  readonly faults: Faults;
  readonly sender: WebhooksSender;
  readonly newCall: () => Call;
  /** Called when something was done that may be due to be sent. */
  readonly onDone: () => void;
}

const idlePollMs = 10;
const apiFaultsMax = 100;

export function createControl(options: ControlOptions) {
  const { store, faults, sender } = options;

  /** One command in one transaction; the events of it are sent. */
  function command<T>(work: (call: Call) => T): T {
    const result = store.transaction(() => work(options.newCall()));
    options.onDone();
    return result;
  }

  return {
    /** Changes some settings and leaves the others. */
    setFaults(changes: Partial<FaultSettings>): void {
      faults.change(changes);
      options.onDone();
    },
    /** Fails or cuts the next calls of the API. */
    failCalls(fault: { kind: ApiFaultKind } & Partial<ApiFault>): void {
      if (faults.apiFaults.length >= apiFaultsMax) {
        throw invalidRequest(`At most ${apiFaultsMax} faults wait at a time.`);
      }
      faults.addApiFault({ times: 1, rate: 1, method: "", path: "/v1/", ...fault });
    },
    /** Begins the random decisions anew. */
    seed(seed: number): void {
      faults.reseed(seed);
    },
    /** No faults from here on. */
    clearFaults(): void {
      faults.clear();
      options.onDone();
    },
    /** Ends a refund badly, whether it was pending or had succeeded. */
    failRefund: (id: string, reason = "lost_or_stolen_card"): Stripe.Refund =>
      command((call) => failRefund(call, id, reason)),
    /** Ends a pending refund well, now. */
    succeedRefund: (id: string): Stripe.Refund => command((call) => succeedRefund(call, id)),
    /** Answers for the shopper's bank. */
    authenticate: (id: string, passed: boolean): Stripe.PaymentIntent =>
      command((call) => {
        try {
          return authenticate(call, findIntent(call, id), passed);
        } catch (error) {
          // Declined after it was confirmed: written down, and told by the event.
          if (error instanceof StripeSimError && error.status === 402) return findIntent(call, id);
          throw error;
        }
      }),
    /**
     * Sends a forged event about an object, such as a payment: signed by nobody's secret, and of a payment it says that
     * it succeeded; or a true one that was signed too long ago.
     */
    forge: (objectId: string, forgery: Forgery = "wrong_secret"): void =>
      command((call) => sendAgain(call, latestEvent(store, objectId), forgery)),
    /** Sends an event once more to all endpoints. */
    resend: (eventId: string): void => command((call) => sendAgain(call, eventId, "")),
    state(): SimState {
      const { settings, apiFaults } = faults;
      return {
        faults: { ...settings },
        apiFaults: [...apiFaults],
        objects: store.counts(),
        waiting: store.countDeliveries(),
        webhooks: { ...sender.counts },
        money: moneyOf(store),
      };
    },
    /** Waits until nothing is to be sent or done. False if that took longer. */
    async idle(timeoutMs: number): Promise<boolean> {
      const untilMs = performance.now() + timeoutMs;
      while (store.countDeliveries() > 0 || store.nextTask() !== undefined) {
        if (performance.now() > untilMs) return false;
        await sleep(idlePollMs);
      }
      return true;
    },
  };
}

function latestEvent(store: Store, objectId: string): string {
  const event = store.latestEventAbout(objectId);
  if (event === undefined) throw invalidRequest(`No event was told about ${objectId}`);
  return event;
}

function sendAgain(call: Call, event: string, forgery: Forgery | ""): void {
  if (call.store.find("event", event) === undefined) {
    throw resourceMissing("event", event, { param: "id", status: 404 });
  }
  for (const { id: endpoint } of listEndpoints(call.store)) {
    call.store.addDelivery({ event, endpoint, dueMs: call.nowMs, forgery });
  }
}

function moneyOf(store: Store): SimState["money"] {
  const money: Record<string, { charged: number; refunded: number; net: number }> = {};
  for (const { currency, type, amount, net } of store.sums()) {
    const sum = money[currency] ?? { charged: 0, refunded: 0, net: 0 };
    money[currency] = sum;
    if (type === "charge") sum.charged += amount;
    else sum.refunded -= amount;
    sum.net += net;
  }
  return money;
}
