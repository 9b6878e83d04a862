import { expect, it } from "vitest";
import { scopesHeld } from "./caller.ts";
import { findRole, roles } from "./roles.ts";

it("a role is found by its name, and nothing else is", () => {
  expect(findRole("support")).toBe(roles.support);
  expect(findRole("toString")).toBeUndefined();
  expect(findRole("")).toBeUndefined();
});

it("no person holds the house's authority alone", () => {
  for (const [name, { scopes }] of Object.entries(roles)) {
    expect(scopes, name).not.toContain("attest.house");
  }
});

it("what binds a role leaves it all that it has", () => {
  const wallet = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
  expect([...scopesHeld({ wallet }, roles.shopper.scopes)]).toEqual(roles.shopper.scopes);
  const merchant = { wallet: undefined, merchant: "market-1" };
  expect([...scopesHeld(merchant, roles.merchant.scopes)]).toEqual(roles.merchant.scopes);
});
