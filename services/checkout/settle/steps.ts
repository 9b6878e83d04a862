import type { CallLimit } from "#common/deadline.ts";
import { DomainError } from "#common/domain-error.ts";
import type { Attestation } from "#common/intent/intent.ts";
import { readCheckout } from "../order/read-checkout.ts";
import { type CheckoutRecord, currentAttempt, type Order, purchaseOf } from "../order/record.ts";
import type { Change, Payment } from "../ports.ts";
import { enterLedger } from "./enter-ledger.ts";
import { isUndecided, nextStep, offerEndMs, type Step } from "./next-step.ts";
import { paymentsOf, readPayment } from "./payments-of.ts";
import type { Settled, SettlePorts, Settler } from "./ports.ts";
import { isAnswer, isDead, isRefusal } from "./refusals.ts";
import { endReturn, returnPayment } from "./return-payment.ts";

/** A checkout takes a few steps; more than this is a loop, and the rest is for the next look. */
const stepsMax = 64;

/** Makes a settler. Any number of them may work on one checkout: each step can be taken twice, and counts once. */
export function createSettler(ports: SettlePorts): Settler {
  const settlePayment = async (read: CheckoutRecord, limit: CallLimit): Promise<Settled> => {
    let record = read;
    let payment: Payment | undefined;
    for (let taken = 0; taken < stepsMax; taken += 1) {
      const step = nextStep(record, ports.nowMs());
      // What was just seen at Stripe need not be looked at again.
      if (step === undefined || (step.kind === "look" && !step.cancel && payment !== undefined))
        break;
      const before = record.order.revision;
      const done = await take(ports, record, step, limit);
      record = done.record;
      payment = done.payment ?? payment;
      if (record.order.revision === before) break;
    }
    return { record, payment };
  };
  return {
    settlePayment,
    async cancel(read, limit) {
      let record = read;
      // What was never offered may have been made at Stripe all the same: only what it names can be cancelled there.
      if (record.order.state === "CREATED") record = (await offer(ports, record, limit)).record;
      if (record.order.state === "AWAITING_SIGNATURE") record = await giveUpSigning(ports, record);
      if (record.order.state === "AWAITING_PAYMENT") {
        record = (await look(ports, record, "CHECKOUT_CANCELLED", limit)).record;
      }
      return (await settlePayment(record, limit)).record;
    },
    async settle(intentId, limit) {
      const record = await readCheckout(ports.store, intentId);
      return (await settlePayment(record, limit)).record;
    },
  };
}

async function take(
  ports: SettlePorts,
  record: CheckoutRecord,
  step: Step,
  limit: CallLimit,
): Promise<Settled> {
  switch (step.kind) {
    case "offer":
      return offer(ports, record, limit);
    case "look":
      return look(ports, record, step.cancel ? "" : undefined, limit);
    case "expire":
      return { record: await expire(ports, record, limit), payment: undefined };
    case "enter":
      return { record: await enterLedger(ports, record, step.entry, limit), payment: undefined };
    case "return":
      return giveBack(ports, record, limit);
  }
}

/**
 * CARD: the wallet is opened, the intent attested and the PaymentIntent made before the shopper hears of either. What
 * stops it is tried again, but not for ever.
 */
async function offer(
  ports: SettlePorts,
  record: CheckoutRecord,
  limit: CallLimit,
): Promise<Settled> {
  const { order } = record;
  const { intent } = currentAttempt(purchaseOf(record));
  try {
    const [attestation] = await Promise.all([
      ports.peers.attest(intent, "", limit),
      ports.peers.openWallet(order.wallet, order.ledger, limit),
    ]);
    const payment = await paymentsOf(ports).create({ ...order, digest: attestation.digest }, limit);
    const offered: Change = {
      state: { to: "AWAITING_PAYMENT", cause: "payment offered" },
      order: { paymentIntentId: payment.id },
      attempt: { intentId: intent.intentId, attestation },
    };
    const changed = await ports.store.change(order.intentId, whenState("CREATED", offered));
    return { record: changed, payment };
  } catch (error) {
    if (ports.nowMs() >= offerEndMs(order, isAnswer(error))) {
      return endUnoffered(ports, record, error);
    }
    if (!isRefusal(error)) throw error;
    await ports.store.change(order.intentId, (now) =>
      now.order.state === "CREATED" ? abandoned(now, "FAILED", error.kind) : undefined,
    );
    throw error;
  }
}

/** CARD: the end of what nobody could be offered. Its secret never went out, so nobody can pay what may have been made. */
async function endUnoffered(
  { store, alarm }: SettlePorts,
  { order: { intentId } }: CheckoutRecord,
  error: unknown,
): Promise<Settled> {
  const reason = error instanceof DomainError ? error.kind : "INTERNAL";
  const record = await store.change(intentId, (now) =>
    now.order.state === "CREATED"
      ? abandoned(now, "CANCELLED", reason, `time is up, and no payment was offered: ${reason}`)
      : undefined,
  );
  if (record.order.state === "CANCELLED") alarm({ end: "NEVER_OFFERED", intentId, cause: error });
  return { record, payment: undefined };
}

/** CARD: what Stripe says now decides. `cancelFor`: cancels the payment unless it was faster, and says why; "": time is up. */
async function look(
  ports: SettlePorts,
  record: CheckoutRecord,
  cancelFor: "" | "CHECKOUT_CANCELLED" | undefined,
  limit: CallLimit,
): Promise<Settled> {
  const { order } = record;
  const payments = paymentsOf(ports);
  const payment =
    cancelFor === undefined
      ? await readPayment(payments, order, limit)
      : await payments.cancel(order.paymentIntentId, limit);
  const changed = await ports.store.change(order.intentId, (now) =>
    now.order.state === "AWAITING_PAYMENT" ? seen(now, payment, cancelFor) : undefined,
  );
  return { record: changed, payment };
}

/** BALANCE: no signature is taken any more. Whether the purchase ever clears is decided when its time is up. */
function giveUpSigning({ store }: SettlePorts, { order }: CheckoutRecord): Promise<CheckoutRecord> {
  return store.change(
    order.intentId,
    whenState("AWAITING_SIGNATURE", {
      state: { to: "CANCELLED", cause: "CHECKOUT_CANCELLED" },
      order: { failureReason: "CHECKOUT_CANCELLED" },
    }),
  );
}

function seen(record: CheckoutRecord, payment: Payment, cancelledFor = ""): Change | undefined {
  const { order } = record;
  if (payment.status === "succeeded") {
    if (isPaidInFull(order, payment)) {
      return {
        state: { to: "PAID", cause: "payment succeeded" },
        order: { failureReason: "", declineCode: "" },
      };
    }
    const refused = abandoned(record, "FAILED", "AMOUNT_MISMATCH");
    return { ...refused, order: { ...refused.order, returnOwed: true } };
  }
  if (payment.status === "canceled") {
    return abandoned(record, "CANCELLED", cancelledFor, cancelledFor || "payment cancelled");
  }
  const failureReason = payment.failure?.reason ?? "";
  const declineCode = payment.failure?.declineCode ?? "";
  if (failureReason === order.failureReason && declineCode === order.declineCode) return undefined;
  return { order: { failureReason, declineCode } };
}

function isPaidInFull(order: Order, payment: Payment): boolean {
  return payment.amountReceived === order.amount && payment.currency === "usd";
}

/** BALANCE: the time to sign is up, or was given up. The wallet may have had the intent attested and cleared by itself. */
async function expire(
  ports: SettlePorts,
  record: CheckoutRecord,
  limit: CallLimit,
): Promise<CheckoutRecord> {
  const attestation = await findCleared(ports, record, limit);
  return ports.store.change(record.order.intentId, (now) => {
    const wasCancelled = isUndecided(now);
    if (now.order.state !== "AWAITING_SIGNATURE" && !wasCancelled) return undefined;
    if (attestation === undefined) {
      const entries = [{ entryId: purchaseOf(now).entryId, state: "FAILED" as const }];
      return wasCancelled ? { entries } : abandoned(now, "CANCELLED", "", "time is up");
    }
    return {
      state: { to: "PAID", cause: "cleared by the wallet itself" },
      order: { walletSignature: attestation.walletSignature, failureReason: "" },
      attempt: { intentId: now.order.intentId, attestation },
    };
  });
}

/**
 * With what the wallet itself had the purchase cleared; undefined if it did not. Asks Clearing to clear it once more: that
 * tells a clearing of ours from another under its id, and makes final that one still under way never clears.
 */
async function findCleared(
  { peers }: SettlePorts,
  record: CheckoutRecord,
  limit: CallLimit,
): Promise<Attestation | undefined> {
  const { intent } = currentAttempt(purchaseOf(record));
  const attestation = await peers.findAttestation(intent.intentId, limit);
  if (attestation === undefined) return undefined;
  try {
    await peers.clear({ intent, attestation }, limit);
    return attestation;
  } catch (error) {
    const isAnother = error instanceof DomainError && error.kind === "ATTESTATION_INVALID";
    if (isAnother || isDead(error)) return undefined;
    throw error;
  }
}

/** CARD: what was paid and bought nothing goes back, whole. It never was in the ledger. */
async function giveBack(
  ports: SettlePorts,
  record: CheckoutRecord,
  limit: CallLimit,
): Promise<Settled> {
  const { order } = record;
  const payments = paymentsOf(ports);
  const payment = await readPayment(payments, order, limit);
  const returned = await returnPayment(payments, order, payment.amountReceived, limit);
  return { record: await endReturn(ports, record, returned), payment };
}

/** The end of a checkout that buys nothing: its purchase will never enter the ledger. */
function abandoned(
  record: CheckoutRecord,
  to: "FAILED" | "CANCELLED",
  failureReason: string,
  cause = failureReason,
): Change {
  const purchase = purchaseOf(record);
  return {
    state: { to, cause },
    ...(failureReason === "" ? {} : { order: { failureReason } }),
    entries: [{ entryId: purchase.entryId, state: "FAILED" }],
  };
}

function whenState(state: Order["state"], change: Change) {
  return ({ order }: CheckoutRecord): Change | undefined =>
    order.state === state ? change : undefined;
}
