import { describe, expect, it } from "vitest";
import {
  requireOwnWallet,
  requireScope,
  requireUnbound,
  type ScopedCaller,
  scopesHeld,
} from "./caller.ts";

const wallet = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const other = "0x5B38Da6a701c568545dCfcB03FcB875f56beddC4";

function operator(...scopes: string[]): ScopedCaller {
  return { scopes: new Set(scopes), wallet: undefined };
}
function shopper(...scopes: string[]): ScopedCaller {
  return { scopes: scopesHeld({ wallet }, scopes), wallet };
}
function refusal(metadata: Readonly<Record<string, string>>) {
  return expect.objectContaining({ kind: "SCOPE_MISSING", metadata });
}

describe("requireScope", () => {
  it("asks for one of the scopes, not for all", () => {
    expect(() => requireScope(operator("b", "x"), ["a", "b"])).not.toThrow();
  });

  it("names what is missing", () => {
    expect(() => requireScope(operator("x"), ["a", "b"])).toThrow(refusal({ scope: "a b" }));
    expect(() => requireScope(shopper("attest"), ["ledger.read"])).toThrow(
      refusal({ scope: "ledger.read" }),
    );
  });

  it("names the wallet where its binding keeps a scope from a token", () => {
    for (const scope of ["attest.house", "checkout.admin", "clearing.batch", "of.tomorrow"]) {
      expect(() => requireScope(shopper(scope), [scope])).toThrow(refusal({ scope, wallet }));
    }
    expect(() => requireScope(shopper("attest.house"), ["attest", "attest.house"])).toThrow(
      refusal({ scope: "attest attest.house", wallet }),
    );
  });
});

describe("a binding", () => {
  it("leaves a token what is a shopper's", () => {
    const named = ["ledger.read", "attest", "attest.house", "checkout.admin", "checkout.buy"];
    expect([...scopesHeld({ wallet }, named)]).toEqual(["ledger.read", "attest", "checkout.buy"]);
    expect([...scopesHeld({ wallet: undefined }, named)]).toEqual(named);
  });

  it("keeps batches from shoppers, and whoever else may clear has them", () => {
    const named = ["clearing.write", "clearing.batch"];
    expect([...scopesHeld({ wallet }, named)]).toEqual(["clearing.write"]);
    expect([...scopesHeld({ wallet: undefined }, ["clearing.write"])]).toEqual(named);
    expect([...scopesHeld({ wallet: undefined }, ["clearing.batch"])]).toEqual(["clearing.batch"]);
  });

  it("to a merchant speaks for no wallet, and leaves a token what is a merchant's", () => {
    const caller = { wallet: undefined, merchant: "market-1" };
    const named = ["ledger.read", "attest", "clearing.write", "checkout.refund", "wallet.open"];
    const scopes = scopesHeld(caller, named);
    expect([...scopes]).toEqual(["ledger.read", "checkout.refund"]);
    expect(() => requireScope({ ...caller, scopes }, ["clearing.write"])).toThrow(
      refusal({ scope: "clearing.write", merchant: "market-1" }),
    );
    expect(() => requireOwnWallet(caller, wallet)).toThrow(refusal({ merchant: "market-1" }));
    expect(() => requireUnbound(caller, "no")).toThrow(refusal({ merchant: "market-1" }));
  });

  it("speaks for its own wallet, and never for the house", () => {
    expect(() => requireOwnWallet({ wallet }, wallet)).not.toThrow();
    expect(() => requireOwnWallet({ wallet: undefined }, other)).not.toThrow();
    expect(() => requireOwnWallet({ wallet }, other)).toThrow(refusal({ wallet }));
    expect(() => requireUnbound({ wallet: undefined }, "no")).not.toThrow();
    expect(() => requireUnbound({ wallet }, "no")).toThrow(refusal({ wallet }));
  });
});
