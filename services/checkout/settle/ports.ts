import type { CallLimit } from "#common/deadline.ts";
import type { CheckoutRecord } from "../order/record.ts";
import type { CheckoutStore, Payment, Payments, Peers } from "../ports.ts";

/** Brings checkouts on. */
export interface Settler {
  /**
   * Brings a checkout as far as it can come now, from what is stored and what Stripe and Clearing say now: whatever
   * told us to look, and however often, the outcome is the same. Returns the record as it is then. Throws what
   * stopped it, after which it is looked at again by itself. Throws CHECKOUT_NOT_FOUND.
   */
  settle(intentId: string, limit: CallLimit): Promise<CheckoutRecord>;
  /**
   * As `settle`, of a checkout that was just read, with the payment as Stripe told it last; undefined if Stripe was not
   * asked.
   */
  settlePayment(record: CheckoutRecord, limit: CallLimit): Promise<Settled>;
  /**
   * Cancels a checkout that was just read and nobody has paid, then settles it: whether the payment or we were faster, its
   * state says. Throws as `settle`.
   */
  cancel(record: CheckoutRecord, limit: CallLimit): Promise<CheckoutRecord>;
}

export interface Settled {
  readonly record: CheckoutRecord;
  readonly payment: Payment | undefined;
}

export interface SettlePorts {
  readonly store: CheckoutStore;
  readonly peers: Peers;
  /** Undefined: no card can be charged here. */
  readonly payments: Payments | undefined;
  /** Epoch milliseconds. */
  readonly nowMs: () => number;
  readonly alarm: RaiseAlarm;
}

/**
 * NEVER_OFFERED: it was given up before a payment could be made for the order. NOT_RETURNED: Stripe refuses for good to
 * give back a payment that bought nothing; it is owed to the shopper in another way.
 */
export const alarmEnds = ["NEVER_OFFERED", "NOT_RETURNED"] as const;

/** An end that somebody must hear of, for Checkout does no more about it by itself. */
export interface Alarm {
  readonly end: (typeof alarmEnds)[number];
  readonly intentId: string;
  readonly cause: unknown;
}

export type RaiseAlarm = (alarm: Alarm) => void;
