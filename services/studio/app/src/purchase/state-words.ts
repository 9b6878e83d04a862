import { type Checkout, CheckoutState } from "#gen/sovr/checkout/v1/checkout_pb.ts";

export interface StateWords {
  readonly label: string;
  readonly tone: "good" | "busy" | "bad" | "quiet";
}

const words: Readonly<Record<number, StateWords>> = {
  [CheckoutState.CREATED]: { label: "Placed", tone: "busy" },
  [CheckoutState.AWAITING_SIGNATURE]: { label: "Waits for your signature", tone: "busy" },
  [CheckoutState.AWAITING_PAYMENT]: { label: "Waits for your card", tone: "busy" },
  [CheckoutState.PAID]: { label: "Paid", tone: "busy" },
  [CheckoutState.CLEARED]: { label: "Cleared", tone: "good" },
  [CheckoutState.CANCELLED]: { label: "Cancelled", tone: "quiet" },
  [CheckoutState.FAILED]: { label: "Failed", tone: "bad" },
  [CheckoutState.PARTLY_REFUNDED]: { label: "Partly refunded", tone: "good" },
  [CheckoutState.REFUNDED]: { label: "Refunded", tone: "quiet" },
};

/** How an order stands, for people. */
export function stateInWords({ state }: Checkout): StateWords {
  return words[state] ?? { label: "Of a newer kind", tone: "quiet" };
}
