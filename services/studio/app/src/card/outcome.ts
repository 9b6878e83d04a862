/** What came of an attempt to pay by card, as far as the browser can tell. Whether it is paid, Checkout tells. */
export type CardOutcome =
  /** The bank has paid, or will say so in a moment. */
  | { readonly kind: "accepted" }
  | {
      readonly kind: "declined";
      /** What the bank said, in Stripe's words for people. */
      readonly message: string;
      /** And for programs, such as "insufficient_funds"; "" if nothing. */
      readonly code: string;
    }
  /** The shopper is to go to the bank's page, which leads back. */
  | { readonly kind: "authenticate"; readonly url: string }
  /** The form misses something, and says so itself. */
  | { readonly kind: "incomplete" }
  /** Nobody can pay it any more. */
  | { readonly kind: "cancelled" };

/** Where the bank's page leads back to: the order, whose state then says all. */
export function returnUrlOf(intentId: string): string {
  return `${location.origin}/#/orders/${intentId}`;
}
