import { type CheckoutRecord, type Entry, type Order, purchaseOf } from "../order/record.ts";

/** What a checkout waits for us to do. */
export type Step =
  /** CARD: have the intent attested, make the PaymentIntent. */
  | { readonly kind: "offer" }
  /** CARD: see what Stripe says of the payment; when the time is up, cancel it. */
  | { readonly kind: "look"; readonly cancel: boolean }
  /** BALANCE: the time in which the wallet can have it cleared by itself is up. */
  | { readonly kind: "expire" }
  /** Bring an entry into the ledger. */
  | { readonly kind: "enter"; readonly entry: Entry }
  /** Give back a payment that bought nothing. */
  | { readonly kind: "return" };

/** The intent of a BALANCE checkout expires with it; so much later no replica of Clearing takes it any more. */
const afterExpiryMs = 5_000;
/** Who made it is still at work on it; after this it is taken up by others. */
const takeUpMs = 15_000;
/** What is under way and was not finished by who began it. */
const finishMs = 5_000;
/** Stripe forgets an idempotency key after a day: from then on the same request makes another payment. */
const sameRequestMs = 23 * 3_600_000;

/** What is to be done now; undefined: nothing, until something happens. Pure. */
export function nextStep(record: CheckoutRecord, nowMs: number): Step | undefined {
  const { order, entries } = record;
  const isOver = nowMs >= order.expireTimeMs;
  switch (order.state) {
    case "CREATED":
      return { kind: "offer" };
    case "AWAITING_PAYMENT":
      return { kind: "look", cancel: isOver };
    case "AWAITING_SIGNATURE":
      return nowMs >= order.expireTimeMs + afterExpiryMs ? { kind: "expire" } : undefined;
    case "CANCELLED":
      return isUndecided(record) && nowMs >= order.expireTimeMs + afterExpiryMs
        ? { kind: "expire" }
        : undefined;
    case "FAILED":
      return order.returnOwed ? { kind: "return" } : undefined;
    case "PAID":
      return { kind: "enter", entry: purchaseOf(record) };
    default: {
      const entry = entries.find(({ state }) => state === "PENDING");
      return entry === undefined ? undefined : { kind: "enter", entry };
    }
  }
}

/**
 * True for a BALANCE checkout that was cancelled before its purchase expired: until then its wallet, which can sign what it
 * has read, may have it cleared without us.
 */
export function isUndecided(record: Pick<CheckoutRecord, "order" | "entries">): boolean {
  return record.order.state === "CANCELLED" && purchaseOf(record).state === "PENDING";
}

/**
 * When an offer that fails is given up, epoch milliseconds. Refused, when the time to pay is up. Unanswered, a payment may
 * have been made that has to be cancelled, so it is asked for as long as that gives the same one. Pure.
 */
export function offerEndMs(
  { createTimeMs, expireTimeMs }: Pick<Order, "createTimeMs" | "expireTimeMs">,
  isAnswered: boolean,
): number {
  return isAnswered ? expireTimeMs : createTimeMs + sameRequestMs;
}

/** When a checkout is to be looked at if nothing else happens, epoch milliseconds; undefined: never. Pure. */
export function nextCheckMs(
  order: Order,
  entries: readonly Entry[],
  nowMs: number,
): number | undefined {
  switch (order.state) {
    case "CREATED":
      return nowMs + takeUpMs;
    case "AWAITING_PAYMENT":
      return Math.max(order.expireTimeMs, nowMs + finishMs);
    case "AWAITING_SIGNATURE":
      return Math.max(order.expireTimeMs + afterExpiryMs, nowMs + finishMs);
    case "CANCELLED":
      return isUndecided({ order, entries })
        ? Math.max(order.expireTimeMs + afterExpiryMs, nowMs + finishMs)
        : undefined;
    case "FAILED":
      return order.returnOwed ? nowMs + finishMs : undefined;
    case "PAID":
      return nowMs + finishMs;
    default:
      return entries.some(({ state }) => state === "PENDING") ? nowMs + finishMs : undefined;
  }
}
