// Goal: a key finds the order that its caller means, and nobody's who may not see it. Method: orders in memory.
import { describe, expect, test } from "vitest";
import { zeroWallet } from "#common/address.ts";
import type { Caller } from "#common/caller.ts";
import { alice, bob } from "../../../test/support/intents/intents.ts";
import type { StoredOrderKey } from "../ports.ts";
import { findOrder } from "./find-order.ts";
import type { CheckoutRecord, Order } from "./record.ts";

const orders: readonly Pick<
  Order,
  "intentId" | "merchantId" | "orderId" | "wallet" | "merchantsOwn"
>[] = [
  row("alice's A", "A", alice.address),
  row("bob's A", "A", bob.address),
  row("market's A for bob", "A", bob.address, true),
  row("alice's B", "B", alice.address),
  row("market's C for alice", "C", alice.address, true),
  { ...row("other's C", "C", bob.address, true), merchantId: "market-2" },
];

function row(intentId: string, orderId: string, wallet: string, merchantsOwn = false) {
  return { intentId, merchantId: "market-1", orderId, wallet, merchantsOwn };
}

const store = {
  async findOrders({ merchantId, orderId, owner }: StoredOrderKey) {
    const found = orders.filter(
      (order) =>
        order.merchantId === merchantId &&
        order.orderId === orderId &&
        (owner === "ANY" ||
          (owner === "MERCHANT"
            ? order.merchantsOwn
            : order.wallet === owner && !order.merchantsOwn)),
    );
    const records = found.map((order) => ({ order, transitions: [], entries: [] }));
    return records.slice(0, 2) as unknown as CheckoutRecord[];
  },
};

async function find(caller: Caller, orderId: string, wallet = "", merchantId = "market-1") {
  try {
    return (await findOrder(store, { merchantId, orderId, wallet }, caller)).order.intentId;
  } catch (error) {
    return (error as { kind: string }).kind;
  }
}

const operator: Caller = { wallet: undefined };
const asAlice: Caller = { wallet: alice.address };
const asBob: Caller = { wallet: bob.address };
const asMarket: Caller = { wallet: undefined, merchant: "market-1" };

describe("an order is found", () => {
  test.each<[string, Caller, string, string, string]>([
    ["a wallet by its own", asAlice, "A", "", "alice's A"],
    ["a wallet by its own, named", asAlice, "A", alice.address, "alice's A"],
    ["a wallet by its own first", asBob, "A", "", "bob's A"],
    ["a wallet by what the merchant made for it", asAlice, "C", "", "market's C for alice"],
    ["a wallet by the merchant's own, named", asBob, "A", zeroWallet, "market's A for bob"],
    ["a merchant by its own", asMarket, "A", "", "market's A for bob"],
    ["a merchant by a shopper's", asMarket, "A", alice.address, "alice's A"],
    ["an operator by the id alone, where one has it", operator, "B", "", "alice's B"],
    ["an operator by the wallet", operator, "A", bob.address, "bob's A"],
    ["an operator by whom it was made for", operator, "C", alice.address, "market's C for alice"],
    ["an operator by the zero address", operator, "A", zeroWallet, "market's A for bob"],
  ])("by %s", async (_name, caller, orderId, wallet, expected) => {
    expect(await find(caller, orderId, wallet)).toBe(expected);
  });

  test("by no one who may not see it", async () => {
    expect(await find(asAlice, "A", bob.address)).toBe("CHECKOUT_NOT_FOUND");
    expect(await find(asAlice, "A", zeroWallet)).toBe("CHECKOUT_NOT_FOUND");
    expect(await find(asBob, "B")).toBe("CHECKOUT_NOT_FOUND");
    expect(await find(asMarket, "B")).toBe("CHECKOUT_NOT_FOUND");
    expect(await find(asMarket, "C", "", "market-2")).toBe("CHECKOUT_NOT_FOUND");
    expect(await find(asMarket, "C", bob.address, "market-2")).toBe("CHECKOUT_NOT_FOUND");
    expect(await find(operator, "none")).toBe("CHECKOUT_NOT_FOUND");
  });

  test("not by an operator who does not say whose, where several have the id", async () => {
    const asked = findOrder(store, { merchantId: "market-1", orderId: "A", wallet: "" }, operator);
    await expect(asked).rejects.toMatchObject({
      kind: "INVALID_FIELD",
      metadata: { field: "order.wallet" },
    });
  });
});
