import { create } from "@bufbuild/protobuf";
import { beforeEach, describe, expect, it } from "vitest";
import { ProductSchema } from "#gen/sovr/checkout/v1/product_pb.ts";
import { amountOf, itemsInWords } from "../goods/products.ts";
import { type BasketStore, openBasket, unitsOf } from "./basket.ts";

const products = [
  create(ProductSchema, { sku: "MILK", name: "Milk", price: { amount: "350", ledger: 1 } }),
  create(ProductSchema, { sku: "BUNDLE", name: "The bundle", price: { amount: "750", ledger: 1 } }),
];

describe("a basket", () => {
  let stored: Map<string, string>;
  let basket: BasketStore;
  const open = () =>
    openBasket(
      {
        getItem: (key) => stored.get(key) ?? null,
        setItem: (key, value) => void stored.set(key, value),
      },
      "0x1",
    );

  beforeEach(() => {
    stored = new Map();
    basket = open();
  });

  it("has every product once, in the order of picking, and outlives a reload", () => {
    basket.setQuantity("MILK", 1);
    basket.setQuantity("BUNDLE", 2);
    basket.setQuantity("MILK", 3);
    const items = open().state.get();
    expect(items).toEqual([
      { sku: "MILK", quantity: 3 },
      { sku: "BUNDLE", quantity: 2 },
    ]);
    expect([unitsOf(items), amountOf(items, products)]).toEqual([5, 2_550n]);
    expect(itemsInWords(items, products)).toBe("3 × Milk and 2 × bundle");
    basket.setQuantity("BUNDLE", 1);
    expect(itemsInWords(basket.state.get(), products)).toBe("3 × Milk and the bundle");
    expect(itemsInWords([{ sku: "OAT_MILK", quantity: 1 }])).toBe("Oat milk");
  });

  it("takes no more than Checkout does, and drops what is none", () => {
    basket.setQuantity("MILK", 1_000);
    expect(basket.state.get()).toEqual([{ sku: "MILK", quantity: 99 }]);
    basket.setQuantity("MILK", 0);
    expect(basket.state.get()).toEqual([]);
    for (let count = 0; count < 20; count += 1) basket.setQuantity(`SKU${count}`, 1);
    expect(basket.state.get()).toHaveLength(16);
  });

  it("begins anew where what is stored is none", () => {
    stored.set("sovr.studio.basket.0x1", '{"sku": 1}');
    expect(open().state.get()).toEqual([]);
  });
});
