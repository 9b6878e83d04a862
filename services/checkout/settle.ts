import type { CallLimit } from "./checkout-ports.ts";
import type { CheckoutRecord } from "./order.ts";

/** Brings checkouts on. */
export interface Settler {
  /**
   * Brings a checkout as far as it can come now, from what is stored and what Stripe and Clearing say now: whatever
   * told us to look, and however often, the outcome is the same. Returns the record as it is then. Throws what
   * stopped it, after which it is looked at again by itself. Throws CHECKOUT_NOT_FOUND.
   */
  settle(intentId: string, limit: CallLimit): Promise<CheckoutRecord>;
}
