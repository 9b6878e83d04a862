import type { Stripe } from "stripe";
import type { Call } from "./call.ts";
import { newId } from "./ids.ts";
import { chargeFee } from "./money.ts";

type Type = "charge" | "refund" | "refund_failure";

interface Movement {
  readonly type: Type;
  /** Signed: what comes in is positive. */
  readonly amount: number;
  readonly currency: string;
  /** The charge or refund. */
  readonly source: string;
  readonly description: string | null;
}

/** Books a movement of the account's balance. Only charges cost a fee; it does not come back with a refund. */
export function addBalanceTransaction(call: Call, movement: Movement): Stripe.BalanceTransaction {
  const { type, amount, currency, source, description } = movement;
  const fee = type === "charge" ? chargeFee(amount) : 0;
  const transaction: Stripe.BalanceTransaction = {
    id: newId("txn"),
    object: "balance_transaction",
    amount,
    // At once, as with pm_card_bypassPending: who waits two days for a test?
    available_on: call.nowSeconds,
    balance_type: "payments",
    created: call.nowSeconds,
    currency,
    description,
    exchange_rate: null,
    fee,
    fee_details: fee === 0 ? [] : [feeDetail(fee, currency)],
    net: amount - fee,
    reporting_category: type,
    source,
    status: "available",
    type,
  };
  call.store.insert("balance_transaction", transaction);
  return transaction;
}

function feeDetail(amount: number, currency: string): Stripe.BalanceTransaction.FeeDetail {
  return {
    amount,
    application: null,
    currency,
    description: "Stripe processing fees",
    type: "stripe_fee",
  };
}

export function showBalance(call: Call): Stripe.Balance {
  const byCurrency = new Map([["usd", 0]]);
  for (const { currency, net } of call.store.sums()) {
    byCurrency.set(currency, (byCurrency.get(currency) ?? 0) + net);
  }
  const available = [...byCurrency].map(([currency, amount]) => ({
    amount,
    currency,
    source_types: { card: amount },
  }));
  const pending = available.map(({ currency }) => ({
    amount: 0,
    currency,
    source_types: { card: 0 },
  }));
  return {
    object: "balance",
    available,
    livemode: false,
    pending,
    refund_and_dispute_prefunding: { available: [], pending: [] },
  };
}
