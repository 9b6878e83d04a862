import { type OrderItem, quantityMax } from "../goods/products.ts";
import { createStore, type Store } from "../store.ts";

/** What the shopper has picked, in the order of picking; every SKU once. */
export interface BasketStore {
  readonly state: Store<readonly OrderItem[]>;
  /** `quantity`: 0 takes the product out; more than `quantityMax` is that. */
  setQuantity(sku: string, quantity: number): void;
  set(items: readonly OrderItem[]): void;
}

/** What Checkout takes in one order. */
const itemsMax = 16;

/** The basket outlives a reload. */
export function openBasket(
  storage: Pick<Storage, "getItem" | "setItem">,
  wallet: string,
): BasketStore {
  const key = `sovr.studio.basket.${wallet}`;
  const state = createStore(load(storage, key));
  const set = (items: readonly OrderItem[]) => {
    storage.setItem(key, JSON.stringify(items));
    state.set(items);
  };
  return {
    state,
    set,
    setQuantity(sku, quantity) {
      const items = state.get();
      const rounded = Math.min(Math.max(Math.trunc(quantity), 0), quantityMax);
      const item = { sku, quantity: rounded };
      const others = items.filter((other) => other.sku !== sku);
      if (rounded === 0) set(others);
      else if (others.length < items.length) {
        set(items.map((other) => (other.sku === sku ? item : other)));
      } else if (items.length < itemsMax) set([...items, item]);
    },
  };
}

export function quantityOf(items: readonly OrderItem[], sku: string): number {
  return items.find((item) => item.sku === sku)?.quantity ?? 0;
}

/** How many units there are in all. */
export function unitsOf(items: readonly OrderItem[]): number {
  return items.reduce((sum, { quantity }) => sum + quantity, 0);
}

function load(storage: Pick<Storage, "getItem">, key: string): readonly OrderItem[] {
  try {
    const items = JSON.parse(storage.getItem(key) ?? "[]") as readonly OrderItem[];
    return items
      .filter(({ sku, quantity }) => typeof sku === "string" && Number.isInteger(quantity))
      .map(({ sku, quantity }) => ({ sku, quantity }));
  } catch {
    return []; // of an older app
  }
}
