import type { JsonValue } from "@bufbuild/protobuf";
import type { Checkout } from "#gen/sovr/checkout/v1/checkout_pb.ts";
import { createStore, type Store } from "../store.ts";
import { formatPurchase, parsePurchase } from "./json.ts";
import { isOver, type Purchase, withCheckout } from "./purchase.ts";

/** The purchases that were begun in this browser, newest first. */
export interface Purchases {
  readonly state: Store<readonly Purchase[]>;
  keep(purchase: Purchase): void;
  /** Hears what Checkout says of one of them. Others, and what is older than what is known, change nothing. */
  see(checkout: Checkout): void;
  /** Puts a purchase away. */
  dismiss(intentId: string): void;
  /** Has everybody look again, because a purchase does not run any more. */
  touch(): void;
}

const purchasesMax = 20;

/** Purchases lie in the browser's storage before anything of them is sent: a reload cannot lose an intent's id. */
export function openPurchases(
  storage: Pick<Storage, "getItem" | "setItem">,
  wallet: string,
): Purchases {
  const key = `sovr.studio.orders.${wallet}`;
  const state = createStore(load(storage, key));
  // From the storage and not from memory: another tab may have begun a purchase meanwhile. The storage has no secrets.
  const others = (intentId: string) => {
    const known = new Map(state.get().map((purchase) => [purchase.order.intentId, purchase]));
    return load(storage, key)
      .filter(({ order }) => order.intentId !== intentId)
      .map((purchase) => ({
        ...purchase,
        clientSecret: known.get(purchase.order.intentId)?.clientSecret,
      }));
  };
  const save = (purchases: readonly Purchase[]) => {
    storage.setItem(key, JSON.stringify(purchases.map(formatPurchase)));
    state.set(purchases);
  };
  const keep = (given: Purchase) => {
    const { intentId } = given.order;
    const known = state.get().find(({ order }) => order.intentId === intentId)?.checkout;
    // The stream may have been faster than the answer that this is of.
    const purchase = known === undefined ? given : withCheckout(given, known);
    // What is not over stays, however old: only its intent's id tells what became of it.
    const room = others(intentId).filter(
      (other, index) => !isOver(other) || index < purchasesMax - 1,
    );
    save([purchase, ...room]);
  };
  return {
    state,
    keep,
    see(checkout) {
      const known = state.get().find(({ order }) => order.intentId === checkout.intentId);
      if (known === undefined) return;
      const seen = withCheckout(known, checkout);
      if (seen !== known) keep({ ...seen, updatedMs: Date.now() });
    },
    dismiss(intentId) {
      save(others(intentId));
    },
    touch() {
      state.set([...state.get()]);
    },
  };
}

function load(storage: Pick<Storage, "getItem">, key: string): readonly Purchase[] {
  try {
    return (JSON.parse(storage.getItem(key) ?? "[]") as JsonValue[]).map(parsePurchase);
  } catch {
    return []; // of an older app
  }
}
