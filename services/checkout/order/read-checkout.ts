import { DomainError } from "#common/domain-error.ts";
import type { CheckoutStore } from "../ports.ts";
import type { CheckoutRecord } from "./record.ts";

/** A checkout that must be there. Throws CHECKOUT_NOT_FOUND. */
export async function readCheckout(
  store: Pick<CheckoutStore, "read">,
  intentId: string,
): Promise<CheckoutRecord> {
  const record = await store.read(intentId);
  if (record === undefined) throw checkoutNotFound(intentId);
  return record;
}

export function checkoutNotFound(intentId: string): DomainError<"CHECKOUT_NOT_FOUND"> {
  return new DomainError("CHECKOUT_NOT_FOUND", `there is no checkout ${intentId}`, {
    metadata: { intentId },
  });
}
