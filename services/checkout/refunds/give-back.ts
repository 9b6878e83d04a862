import type { CallLimit } from "#common/deadline.ts";
import { DomainError } from "#common/domain-error.ts";
import { newUuidV7 } from "#common/uuid.ts";
import {
  type DecideItems,
  enterItems,
  hasCleared,
  type ItemEntry,
  type ItemEntryPorts,
  type RefundRequest,
} from "../order/enter-items.ts";
import { refundIntent } from "../order/intents.ts";
import { linesOf, refundOfAmount, refundOfItems } from "../order/lines.ts";
import { readCheckout } from "../order/read-checkout.ts";
import { type CheckoutRecord, purchaseOf } from "../order/record.ts";
import type { Change, PaymentRefund, Payments } from "../ports.ts";
import { paymentsOf, readPayment } from "../settle/payments-of.ts";
import type { RaiseAlarm } from "../settle/ports.ts";
import { endReturn, leftToReturn, returnedBy } from "../settle/return-payment.ts";
import { judgeRefund } from "./judge-refund.ts";

/** Gives money back, and keeps the books in step with what Stripe gave back. */
export interface Refunds {
  /**
   * Gives back what items cost, or an amount, to the card or to the wallet. Throws CHECKOUT_NOT_FOUND, NOT_REFUNDABLE,
   * INTENT_ID_REUSED, LIMIT_EXCEEDED. An entry that FAILED is one that Stripe refused.
   */
  refund(request: RefundRequest, limit: CallLimit): Promise<ItemEntry>;
  /**
   * Takes into the books what Stripe says of a checkout's refunds now: those made elsewhere, those that failed. The
   * outcome is the same however often and in whatever order it is told. Returns the record as it is then. Throws
   * CHECKOUT_NOT_FOUND, what the settler throws, and NOT_REFUNDABLE if Stripe gave back more than was paid.
   */
  syncFromStripe(checkoutIntentId: string, limit: CallLimit): Promise<CheckoutRecord>;
}

export interface RefundPorts extends ItemEntryPorts {
  /** Undefined: no card can be charged here. */
  readonly payments: Payments | undefined;
  readonly alarm: RaiseAlarm;
}

export function createRefunds(ports: RefundPorts): Refunds {
  return {
    refund: (request, limit) => enterItems(ports, "REFUND", request, decide(request), limit),
    syncFromStripe: (checkoutIntentId, limit) => sync(ports, checkoutIntentId, limit),
  };
}

function decide({ items, amount }: RefundRequest): DecideItems {
  return (record, issue) => {
    const { order } = record;
    if (!hasCleared(record)) {
      throw new DomainError("NOT_REFUNDABLE", `order ${order.orderId} has not cleared`, {
        metadata: { orderId: order.orderId },
      });
    }
    const lines = linesOf(record);
    const portions =
      amount === undefined
        ? refundOfItems(order, lines, items)
        : refundOfAmount(order, lines, amount);
    return { portions, intent: refundIntent(order, purchaseOf(record), portions, issue) };
  };
}

/** A refund waits for another at most twice: for one that Stripe refuses, and for one that is corrected. */
const roundsMax = 4;

async function sync(
  ports: RefundPorts,
  checkoutId: string,
  limit: CallLimit,
): Promise<CheckoutRecord> {
  const { store, settler } = ports;
  let record = await readCheckout(store, checkoutId);
  // Stripe may tell of a refund before we have heard of the payment.
  if (purchaseOf(record).state === "PENDING") record = await settler.settle(checkoutId, limit);
  const { paymentIntentId } = record.order;
  if (paymentIntentId === "") return record;
  if (!hasCleared(record)) return syncReturn(ports, record, limit);
  let waiting: PaymentRefund | undefined;
  for (let round = 0; round < roundsMax; round += 1) {
    const refunds = await paymentsOf(ports).refunds(paymentIntentId, limit);
    for (const refund of refunds) record = await takeIn(ports, record, refund);
    if (record.entries.some(({ state }) => state === "PENDING")) {
      record = await settler.settle(checkoutId, limit);
    }
    const settled = record;
    waiting = refunds.find((refund) => judge(ports, settled, refund) !== "NOTHING");
    if (waiting === undefined) return record;
  }
  throw new DomainError(
    "NOT_REFUNDABLE",
    `refund ${waiting?.id} is more than was left of its payment`,
    {
      metadata: { orderId: record.order.orderId },
    },
  );
}

/** A payment that bought nothing is in no books, and neither are its refunds: if some failed, the rest is owed again. */
async function syncReturn(
  ports: RefundPorts,
  record: CheckoutRecord,
  limit: CallLimit,
): Promise<CheckoutRecord> {
  const { order } = record;
  const { intentId, paymentIntentId } = order;
  if (order.state !== "FAILED" || order.returnOwed) return record;
  const payments = paymentsOf(ports);
  const { amountReceived } = await readPayment(payments, order, limit);
  const made = await payments.refunds(paymentIntentId, limit);
  if (leftToReturn(order, amountReceived, made) === 0n) {
    const returned = returnedBy(order, amountReceived, made);
    return returned.kept === 0n ? record : endReturn(ports, record, returned);
  }
  await ports.store.change(intentId, ({ order: now }) =>
    now.state === "FAILED" ? { order: { returnOwed: true } } : undefined,
  );
  return ports.settler.settle(intentId, limit);
}

/** Writes what a refund asks for, if anything: judged again under the lock, where it counts. */
async function takeIn(
  ports: RefundPorts,
  record: CheckoutRecord,
  refund: PaymentRefund,
): Promise<CheckoutRecord> {
  if (asChange(judge(ports, record, refund)) === undefined) return record;
  return ports.store.change(record.order.intentId, (now) => asChange(judge(ports, now, refund)));
}

function judge(ports: RefundPorts, record: CheckoutRecord, refund: PaymentRefund) {
  const nowMs = ports.nowMs();
  return judgeRefund(record, refund, { intentId: newUuidV7(nowMs), nowMs });
}

function asChange(verdict: ReturnType<typeof judgeRefund>): Change | undefined {
  return typeof verdict === "string" ? undefined : verdict;
}
