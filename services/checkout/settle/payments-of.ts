import { DomainError } from "#common/domain-error.ts";
import type { Payments } from "../ports.ts";

/** Stripe, for a card checkout of a time when there was a key. Throws PAYMENTS_UNAVAILABLE if there is none now. */
export function paymentsOf(ports: { readonly payments: Payments | undefined }): Payments {
  if (ports.payments !== undefined) return ports.payments;
  throw new DomainError("PAYMENTS_UNAVAILABLE", "no Stripe key is configured here");
}
