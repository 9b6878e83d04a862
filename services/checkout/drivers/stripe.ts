import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import Stripe from "stripe";
import { raceDeadline } from "#common/deadline.ts";
import { DomainError } from "#common/domain-error.ts";
import type { StripeConfig } from "../config.ts";
import { usd } from "../order/products.ts";
import {
  type CallLimit,
  type Payment,
  type PaymentRefund,
  type Payments,
  RefundRefused,
} from "../ports.ts";
import type {
  StripeEvent,
  StripeEventPage,
  StripeEvents,
  VerifiedWebhook,
} from "../webhooks/ports.ts";

/** Stripe, as Checkout uses it. */
export interface StripeGateway {
  readonly payments: Payments;
  readonly events: StripeEvents;
  /**
   * Checks a webhook's signature by every secret that is configured, and its time to 300 s of `nowMs` on both sides.
   * `header` is Stripe-Signature, "" if there is none. Pure.
   */
  verifyWebhook(body: Buffer, header: string, nowMs: number): VerifiedWebhook;
  /** Closes the connections. */
  close(): void;
}

/** What a call to Stripe came to. */
export type StripeOutcome = "answered" | "refused" | "unavailable";

export interface StripeOptions {
  /** Hears of every call that ended. */
  readonly onCall?: (operation: string, outcome: StripeOutcome, durationMs: number) => void;
}

/** Beyond this calls wait for each other, each within its deadline. */
const connectionsMax = 64;
const idleConnectionMs = 30_000;
/** No call takes longer, whatever its deadline. */
const callMsMax = 30_000;
/** When to come back after Stripe did not answer, or asked to be left alone. */
const retryAfterMs = 1_000;

/** Opens the way to Stripe, or to where `config.apiUrl` says it is. Nothing connects before the first call. */
export function createStripe(config: StripeConfig, options: StripeOptions = {}): StripeGateway {
  const { apiUrl } = config;
  const plain = apiUrl?.protocol === "http:";
  const agent = new (plain ? HttpAgent : HttpsAgent)({
    keepAlive: true,
    maxSockets: connectionsMax,
    timeout: idleConnectionMs,
  });
  const stripe = new Stripe(config.secretKey, {
    // Whoever calls comes back by itself; the SDK would only use up the deadline.
    maxNetworkRetries: 0,
    telemetry: false,
    httpAgent: agent,
    ...(apiUrl === undefined ? {} : addressOf(apiUrl)),
  });
  const call = caller(options);
  return {
    payments: createPayments(stripe, call),
    events: createEvents(stripe, call),
    verifyWebhook: (body, header, nowMs) =>
      verifyWebhook(stripe, config.webhookSecrets, { body, header, nowMs }),
    close: () => agent.destroy(),
  };
}

function addressOf(url: URL): { host: string; port: string; protocol: "http" | "https" } {
  const plain = url.protocol === "http:";
  return {
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port === "" ? (plain ? "80" : "443") : url.port,
    protocol: plain ? "http" : "https",
  };
}

/** Runs one request within a limit and turns what it throws into what the ports promise. */
type Call = <T>(
  operation: string,
  limit: CallLimit,
  send: (options: Stripe.RequestOptions) => Promise<T>,
) => Promise<T>;

function caller({ onCall }: StripeOptions): Call {
  return async (operation, limit, send) => {
    const startMs = performance.now();
    const finish = (outcome: StripeOutcome) =>
      onCall?.(operation, outcome, performance.now() - startMs);
    const waitMs = Math.min(limit.deadlineMs - Date.now(), callMsMax);
    const late = () => unavailable(`${operation}: no answer in time`);
    try {
      if (waitMs < 1 || limit.signal?.aborted === true) throw late();
      // The SDK's timeout is about silence and closes the connection; ours is about the whole.
      const sent = send({ timeout: Math.ceil(waitMs) });
      const bound = { deadlineMs: Date.now() + waitMs, signal: limit.signal };
      const result = await raceDeadline(sent, bound, late);
      finish("answered");
      return result;
    } catch (error) {
      const translated = translate(operation, error);
      const gone = translated instanceof DomainError && translated.kind === "PAYMENTS_UNAVAILABLE";
      finish(gone ? "unavailable" : "refused");
      throw translated;
    }
  };
}

/** A refusal by Stripe, with nothing in it but what may be logged: its own errors carry whole objects and secrets. */
class StripeRefusal extends Error {
  override readonly name = "StripeRefusal";
  /** Stripe's error code; undefined if it gave none. */
  readonly code: string | undefined;
  /** The SDK's name for the kind of refusal. */
  readonly type: string;

  constructor(operation: string, error: Stripe.errors.StripeError) {
    const { type, code, param, statusCode, requestId } = error;
    const parts = [type, code, param, statusCode, requestId].filter((part) => part !== undefined);
    super(`Stripe refuses ${operation}: ${printable(parts.join(" "))}`);
    this.code = code;
    this.type = type;
  }
}

/** Everything that the SDK can throw. What is not Stripe's word is a fault of ours and passes. */
function translate(operation: string, error: unknown): unknown {
  if (!(error instanceof Stripe.errors.StripeError)) return error;
  const { type, code, statusCode: status } = error;
  // Without a status there was no answer, or none that was JSON. 409: the same key is at work at this moment.
  if (status === undefined || status >= 500 || status === 429 || status === 409) {
    return unavailable(printable(`${operation}: ${type} ${status ?? ""} ${code ?? ""}`.trim()));
  }
  return new StripeRefusal(operation, error);
}

function unavailable(cause: string): DomainError<"PAYMENTS_UNAVAILABLE"> {
  return new DomainError("PAYMENTS_UNAVAILABLE", "card payments cannot be reached just now", {
    retryAfterMs,
    cause: new Error(cause),
  });
}

function printable(text: string): string {
  return text.replace(/[^ -~]/g, "?").slice(0, 256);
}

// Payments

/** The metadata by which a PaymentIntent, or a refund, names the intent that it belongs to. */
const intentKey = "intent_id";

function createPayments(stripe: Stripe, call: Call): Payments {
  return {
    create: (request, limit) => createPayment(stripe, call, request, limit),
    read: (paymentIntentId, limit) => readPayment(stripe, call, paymentIntentId, limit),
    async cancel(paymentIntentId, limit) {
      try {
        const cancelled = await call("payment_intents.cancel", limit, (options) =>
          stripe.paymentIntents.cancel(paymentIntentId, {}, options),
        );
        return paymentOf(cancelled);
      } catch (error) {
        // Paid or cancelled before: how it is now says it all.
        if (!hasCode(error, "payment_intent_unexpected_state")) throw error;
      }
      const payment = await readPayment(stripe, call, paymentIntentId, limit);
      if (payment === undefined) throw new Error(`Stripe has lost ${paymentIntentId}`);
      return payment;
    },
    refund: (request, limit) => createRefund(stripe, call, request, limit),
    refunds: (paymentIntentId, limit) => listRefunds(stripe, call, paymentIntentId, limit),
  };
}

async function createPayment(
  stripe: Stripe,
  call: Call,
  request: Parameters<Payments["create"]>[0],
  limit: CallLimit,
): Promise<Payment> {
  const created = await call("payment_intents.create", limit, (options) =>
    stripe.paymentIntents.create(
      {
        amount: toNumber(request.amount),
        currency: currencyOf(request.ledger),
        // Cards alone, whatever the account has enabled: others are paid days later, or lead away from the shop.
        allowed_payment_method_types: ["card"],
        capture_method: "automatic",
        metadata: {
          [intentKey]: request.intentId,
          digest: request.digest,
          merchant_id: request.merchantId,
          order_id: request.orderId,
          wallet: request.wallet,
        },
      },
      { ...options, idempotencyKey: request.intentId },
    ),
  );
  // A replayed answer tells how it was when it was made.
  if (created.lastResponse.headers["idempotent-replayed"] !== "true") return paymentOf(created);
  return (await readPayment(stripe, call, created.id, limit)) ?? paymentOf(created);
}

async function readPayment(
  stripe: Stripe,
  call: Call,
  paymentIntentId: string,
  limit: CallLimit,
): Promise<Payment | undefined> {
  try {
    const found = await call("payment_intents.retrieve", limit, (options) =>
      stripe.paymentIntents.retrieve(paymentIntentId, {}, options),
    );
    return paymentOf(found);
  } catch (error) {
    if (hasCode(error, "resource_missing")) return undefined;
    throw error;
  }
}

/** Codes of refusals that no later attempt changes. A refusal of the amount, or of an unpaid payment, has none. */
const notRefundable: ReadonlySet<string | undefined> = new Set([
  undefined,
  "amount_too_large",
  "charge_already_refunded",
  "charge_disputed",
  "charge_not_refundable",
  "payment_intent_unexpected_state",
  "refund_disputed_payment",
]);

async function createRefund(
  stripe: Stripe,
  call: Call,
  request: Parameters<Payments["refund"]>[0],
  limit: CallLimit,
): Promise<PaymentRefund> {
  const { paymentIntentId, entryId, amount } = request;
  // Stripe forgets idempotency keys after a day; the refund itself stays. The key covers two at once.
  const known = await listRefunds(stripe, call, paymentIntentId, limit);
  const same = known.find((refund) => refund.entryId === entryId && refund.amount === amount);
  if (same !== undefined) return same;
  try {
    const refund = await call("refunds.create", limit, (options) =>
      stripe.refunds.create(
        {
          payment_intent: paymentIntentId,
          amount: toNumber(amount),
          metadata: { [intentKey]: entryId },
        },
        // With its own prefix: a key serves one endpoint, and a payment's is the bare intent id. With the amount: what is
        // left to give back of a payment that bought nothing may shrink, and a key has one answer for ever.
        { ...options, idempotencyKey: `refund-${entryId}-${amount}` },
      ),
    );
    return refundOf(refund);
  } catch (error) {
    if (!(error instanceof StripeRefusal)) throw error;
    if (error.type !== "StripeInvalidRequestError" || !notRefundable.has(error.code)) throw error;
    throw new RefundRefused(paymentIntentId, error);
  }
}

const pageSize = 100;
/** Nobody refunds one payment a thousand times. */
const refundPagesMax = 10;

async function listRefunds(
  stripe: Stripe,
  call: Call,
  paymentIntentId: string,
  limit: CallLimit,
): Promise<PaymentRefund[]> {
  const refunds: PaymentRefund[] = [];
  let after: string | undefined;
  for (let page = 0; page < refundPagesMax; page += 1) {
    const { data, has_more } = await call("refunds.list", limit, (options) =>
      stripe.refunds.list(
        { payment_intent: paymentIntentId, limit: pageSize, ...startingAfter(after) },
        options,
      ),
    );
    refunds.push(...data.map(refundOf));
    after = data.at(-1)?.id;
    if (!has_more || after === undefined) return refunds.reverse();
  }
  throw new Error(`${paymentIntentId} has more than ${refundPagesMax * pageSize} refunds`);
}

function startingAfter(after: string | undefined): { starting_after?: string } {
  return after === undefined ? {} : { starting_after: after };
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof StripeRefusal && error.code === code;
}

const statuses = [
  "requires_payment_method",
  "requires_confirmation",
  "requires_action",
  "processing",
  "requires_capture",
  "canceled",
  "succeeded",
] as const satisfies readonly Payment["status"][];

function paymentOf(intent: Stripe.PaymentIntent): Payment {
  return {
    id: intent.id,
    status: oneOf(statuses, intent.status),
    amount: toBigint(intent.amount),
    amountReceived: toBigint(intent.amount_received),
    currency: intent.currency,
    intentId: uuidOf(intent.metadata),
    clientSecret: intent.client_secret ?? "",
    failure: failureOf(intent),
  };
}

/** Why the shopper has to do something again; undefined while there is nothing to do, or nothing more. */
function failureOf(intent: Stripe.PaymentIntent): Payment["failure"] {
  if (intent.status === "requires_action") {
    return { reason: "PAYMENT_ACTION_REQUIRED", declineCode: "" };
  }
  const error = intent.last_payment_error;
  if (intent.status !== "requires_payment_method" || error === null) return undefined;
  const declineCode = printable(error.decline_code ?? error.code ?? "").slice(0, 64);
  const authenticate =
    error.code === "authentication_required" || error.decline_code === "authentication_required";
  return {
    reason: authenticate ? "PAYMENT_ACTION_REQUIRED" : "PAYMENT_DECLINED",
    declineCode,
  };
}

const refundStatuses = [
  "pending",
  "requires_action",
  "succeeded",
  "failed",
  "canceled",
] as const satisfies readonly PaymentRefund["status"][];

function refundOf(refund: Stripe.Refund): PaymentRefund {
  return {
    id: refund.id,
    status: oneOf(refundStatuses, refund.status),
    amount: toBigint(refund.amount),
    currency: refund.currency,
    entryId: uuidOf(refund.metadata),
  };
}

function oneOf<Word extends string>(words: readonly Word[], word: string | null): Word {
  const known = words.find((candidate) => candidate === word);
  if (known === undefined)
    throw new Error(`Stripe tells an unknown status: ${printable(`${word}`)}`);
  return known;
}

/** Others write metadata as well; what is no intent id is none of ours. */
function uuidOf(metadata: Stripe.Metadata | null): string {
  const text = metadata?.[intentKey] ?? "";
  return /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(text)
    ? text
    : "";
}

function currencyOf(ledger: number): string {
  if (ledger === usd) return "usd";
  throw new RangeError(`no card pays in ledger ${ledger}`);
}

function toNumber(amount: bigint): number {
  const number = Number(amount);
  if (Number.isSafeInteger(number) && number > 0) return number;
  throw new RangeError(`${amount} is no amount that Stripe can take`);
}

function toBigint(amount: number): bigint {
  if (Number.isSafeInteger(amount) && amount >= 0) return BigInt(amount);
  throw new RangeError("Stripe tells an amount that is none");
}

// Events

function createEvents(stripe: Stripe, call: Call): StripeEvents {
  return {
    async list({ sinceMs, types, after }, limit): Promise<StripeEventPage> {
      const { data, has_more } = await call("events.list", limit, (options) =>
        stripe.events.list(
          {
            created: { gte: Math.floor(sinceMs / 1_000) },
            types: [...types],
            limit: pageSize,
            ...startingAfter(after),
          },
          options,
        ),
      );
      const events = data.map(eventOf).filter((event) => event !== undefined);
      return { events, next: has_more ? data.at(-1)?.id : undefined };
    },
  };
}

/** How far a webhook's time may be from ours, as Stripe sets it, in seconds. */
const windowSeconds = 300;

function verifyWebhook(
  stripe: Stripe,
  secrets: readonly string[],
  {
    body,
    header,
    nowMs,
  }: { readonly body: Buffer; readonly header: string; readonly nowMs: number },
): VerifiedWebhook {
  if (header === "") return { refusal: "SIGNATURE_MISSING" };
  // One time alone: of two the SDK would sign one, and we might judge the other.
  const [time, ...more] = header.split(",").filter((item) => item.startsWith("t="));
  if (time === undefined || more.length > 0 || !/^t=[0-9]{1,12}$/.test(time)) {
    return { refusal: "SIGNATURE_INVALID" };
  }
  if (!secrets.some((secret) => isSigned(stripe, secret, body, header))) {
    return { refusal: "SIGNATURE_INVALID" };
  }
  const ageSeconds = Math.floor(nowMs / 1_000) - Number(time.slice("t=".length));
  if (Math.abs(ageSeconds) > windowSeconds) return { refusal: "OUTSIDE_WINDOW" };
  const event = eventOf(parse(body));
  return event === undefined ? { refusal: "BODY_INVALID" } : { event };
}

/** By the SDK, in constant time; with the tolerance 0 it leaves the time to us, who also refuse the future. */
function isSigned(stripe: Stripe, secret: string, body: Buffer, header: string): boolean {
  try {
    return stripe.webhooks.signature?.verifyHeader(body, header, secret, 0) ?? false;
  } catch (error) {
    if (error instanceof Stripe.errors.StripeSignatureVerificationError) return false;
    throw error;
  }
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    return undefined;
  }
}

/** What an event says that we keep, or undefined if it is none. */
function eventOf(told: unknown): StripeEvent | undefined {
  if (!isRecord(told)) return undefined;
  const { id, type, created, data } = told;
  if (typeof id !== "string" || !/^[A-Za-z0-9_]{1,255}$/.test(id)) return undefined;
  if (typeof type !== "string" || !/^[a-z0-9_.]{1,128}$/.test(type)) return undefined;
  if (typeof created !== "number" || !(created >= 0 && created < 2 ** 33)) return undefined;
  const object = isRecord(data) && isRecord(data["object"]) ? data["object"] : {};
  return {
    eventId: id,
    type,
    paymentIntentId: idOf(
      object["object"] === "payment_intent" ? object : object["payment_intent"],
    ),
    createTimeMs: Math.floor(created) * 1_000,
  };
}

/** Stripe names an object by its id, or shows it whole. */
function idOf(object: unknown): string {
  const id = isRecord(object) ? object["id"] : object;
  return typeof id === "string" && /^[A-Za-z0-9_]{1,255}$/.test(id) ? id : "";
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
