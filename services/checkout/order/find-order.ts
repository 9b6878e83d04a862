import { zeroWallet } from "#common/address.ts";
import type { Caller } from "#common/caller.ts";
import { DomainError, invalidField } from "#common/domain-error.ts";
import type { CheckoutStore } from "../ports.ts";
import type { CheckoutRecord } from "./record.ts";

/** How a caller names an order. */
export interface OrderName {
  readonly merchantId: string;
  readonly orderId: string;
  /**
   * EIP-55: whose order it is, or for whom the merchant made it. The zero address: the merchant's own. "": what the
   * caller's credential implies.
   */
  readonly wallet: string;
}

/** True if a checkout is the caller's to see: its buyer's, its merchant's, or anybody's who is not bound. */
export function isVisibleTo({ wallet, merchant }: Caller, { order }: CheckoutRecord): boolean {
  if (merchant !== undefined) return order.merchantId === merchant;
  return wallet === undefined || order.wallet === wallet;
}

/**
 * Finds the order that a caller names. A wallet's own comes before what the merchant made for it. A shopper's key implies
 * his wallet, a merchant's its own orders. Who is not bound may leave the wallet out where
 * one order alone has the id. Throws CHECKOUT_NOT_FOUND, INVALID_FIELD `order.wallet`.
 */
export async function findOrder(
  store: Pick<CheckoutStore, "findOrders">,
  name: OrderName,
  caller: Caller,
): Promise<CheckoutRecord> {
  const found = (await candidates(store, name, caller)).filter((each) => isVisibleTo(caller, each));
  const [first] = found;
  if (first === undefined) {
    const { merchantId, orderId } = name;
    throw new DomainError("CHECKOUT_NOT_FOUND", `there is no order ${orderId} of ${merchantId}`, {
      metadata: { merchantId, orderId },
    });
  }
  if (found.length > 1) {
    throw invalidField(
      "order.wallet",
      "order.ambiguous",
      "must say whose order it is: several have this id",
    );
  }
  return first;
}

async function candidates(
  store: Pick<CheckoutStore, "findOrders">,
  { merchantId, orderId, wallet: named }: OrderName,
  { wallet: bound, merchant }: Caller,
): Promise<readonly CheckoutRecord[]> {
  const ofMerchant = { merchantId, orderId, owner: "MERCHANT" } as const;
  if (named === zeroWallet) return store.findOrders(ofMerchant);
  const wallet = named === "" ? bound : named;
  if (wallet !== undefined) {
    const own = await store.findOrders({ merchantId, orderId, owner: wallet });
    if (own.length > 0) return own;
    const made = await store.findOrders(ofMerchant);
    return made.filter(({ order }) => order.wallet === wallet);
  }
  return store.findOrders(merchant === undefined ? { ...ofMerchant, owner: "ANY" } : ofMerchant);
}
