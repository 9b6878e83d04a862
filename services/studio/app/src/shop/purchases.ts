import type { JsonValue } from "@bufbuild/protobuf";
import { createStore, type Store } from "../store.ts";
import { formatPurchase, isOver, type Purchase, parsePurchase } from "./purchase.ts";

/** The purchases that were begun in this browser, newest first. */
export interface Purchases {
  readonly state: Store<readonly Purchase[]>;
  keep(purchase: Purchase): void;
  /** Puts away a purchase that is over. */
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
  const key = `sovr.studio.purchases.${wallet}`;
  const state = createStore(load(storage, key));
  const save = (purchases: readonly Purchase[]) => {
    storage.setItem(key, JSON.stringify(purchases.map(formatPurchase)));
    state.set(purchases);
  };
  return {
    state,
    keep(purchase) {
      const { intentId } = purchase.intent;
      // From the storage and not from memory: another tab may have begun a purchase meanwhile.
      const others = load(storage, key).filter(({ intent }) => intent.intentId !== intentId);
      // What is not over stays, however old: only its intent's id tells what became of it.
      const room = others.filter((other, index) => !isOver(other) || index < purchasesMax - 1);
      save([purchase, ...room]);
    },
    touch() {
      state.set([...state.get()]);
    },
    dismiss(intentId) {
      save(load(storage, key).filter(({ intent }) => intent.intentId !== intentId));
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
