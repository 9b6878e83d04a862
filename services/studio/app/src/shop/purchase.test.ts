import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { beforeEach, describe, expect, it } from "vitest";
import { parseIntent } from "#common/intent-codec.ts";
import { intentDigester, intentDomain } from "#common/intent-digest.ts";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { AttestationSchema } from "#gen/sovr/attestor/v1/attestation_pb.ts";
import { ClearingSchema, ClearingState } from "#gen/sovr/clearing/v1/clearing_pb.ts";
import { domain, domainSource, wallet } from "../wallet/test-domain.ts";
import { products, purchaseIntent } from "./products.ts";
import {
  carryOut,
  formatPurchase,
  isOver,
  nextStep,
  type Purchase,
  type PurchasePorts,
  parsePurchase,
  proposePurchase,
} from "./purchase.ts";
import { openPurchases } from "./purchases.ts";

const bundle = products[3];
if (bundle === undefined) throw new Error("there is no bundle");

function failure(reason: string, code = Code.Unavailable): ConnectError {
  const info = { domain: "sovr", reason };
  return new ConnectError(reason, code, undefined, [{ desc: ErrorInfoSchema, value: info }]);
}

function memoryStorage() {
  const stored = new Map<string, string>();
  return {
    getItem: (key: string) => stored.get(key) ?? null,
    setItem: (key: string, value: string) => void stored.set(key, value),
  };
}

describe("a purchase", () => {
  let proposal: Purchase;
  let kept: Purchase[];
  let cleared: string[];
  let waits: number[];
  let failures: unknown[];

  const ports: PurchasePorts = {
    signDigest: (digest) => wallet.signDigest(digest),
    attest: async (_intent, walletSignature) =>
      create(AttestationSchema, { digest: proposal.digest, walletSignature }),
    clear: async (intent, { digest }) => {
      cleared.push(`${intent.intentId} ${digest}`);
      const error = failures.shift();
      if (error !== undefined) throw error;
      return create(ClearingSchema, { digest, state: ClearingState.CLEARED });
    },
    keep: (purchase) => kept.push(purchase),
    wait: async (ms) => {
      waits.push(ms);
    },
  };

  beforeEach(() => {
    proposal = proposePurchase("BUNDLE", purchaseIntent(bundle, wallet.address), domain);
    [kept, cleared, waits, failures] = [[], [], [], []];
  });

  it("has the digest that the mesh computes", () => {
    const digestIntent = intentDigester(intentDomain(domainSource));
    expect(proposal.digest).toBe(digestIntent(parseIntent(proposal.intent)));
  });

  it("is not proposed where the mesh signs another form than the one that is explained", () => {
    const told = JSON.parse(domain.typesJson) as { ClearingIntent: unknown[] };
    told.ClearingIntent.splice(5, 1); // without the postings
    const typesJson = JSON.stringify(told);
    expect(() => proposePurchase("BUNDLE", proposal.intent, { ...domain, typesJson })).toThrow(
      /does not know/,
    );
  });

  it("is kept before each thing that is sent, and clears", async () => {
    const order: string[] = [];
    const spied: PurchasePorts = {
      ...ports,
      keep: ({ walletSignature, attestation, clearing }) =>
        order.push(`kept ${[walletSignature, attestation, clearing].filter(Boolean).length}`),
      attest: (intent, signature) => {
        order.push("attest");
        return ports.attest(intent, signature);
      },
      clear: (intent, attestation) => {
        order.push("clear");
        return ports.clear(intent, attestation);
      },
    };
    const done = await carryOut(proposal, spied);
    expect(order).toEqual(["kept 0", "kept 1", "attest", "kept 2", "clear", "kept 3"]);
    expect(isOver(done)).toBe(true);
    expect(nextStep(done)).toBeUndefined();
  });

  it.each(["OUTCOME_UNKNOWN", "DRAINING", "LEDGER_UNAVAILABLE"])(
    "asks again with the same intent after %s",
    async (reason) => {
      failures = [failure(reason), failure(reason)];
      const done = await carryOut(proposal, ports);
      expect(done.clearing?.state).toBe(ClearingState.CLEARED);
      expect(new Set(cleared).size).toBe(1);
      expect(cleared).toHaveLength(3);
      expect(waits).toEqual([500, 1_000]);
    },
  );

  it("stops asking after a while, and goes on where it stood when it is told to", async () => {
    failures = Array.from({ length: 4 }, () => new ConnectError("gone", Code.Unavailable));
    const stopped = await carryOut(proposal, ports);
    expect(stopped.problem).toMatchObject({ reason: "NETWORK", remedy: "again" });
    expect([isOver(stopped), nextStep(stopped)]).toEqual([false, "clear"]);
    const done = await carryOut(stopped, ports);
    expect([done.problem, done.digest]).toEqual([undefined, proposal.digest]);
    expect(new Set(cleared).size).toBe(1);
  });

  it.each([
    ["INSUFFICIENT_FUNDS", Code.FailedPrecondition, true],
    ["INTENT_EXPIRED", Code.FailedPrecondition, true],
    // An earlier attempt may have cleared: nobody knows until the same intent is asked about again.
    ["CREDENTIALS_INVALID", Code.Unauthenticated, false],
    ["ACCOUNT_NOT_FOUND", Code.NotFound, false],
  ] as const)("does not insist after %s", async (reason, code, over) => {
    failures = [failure(reason, code)];
    const stopped = await carryOut(proposal, ports);
    expect(stopped.problem?.reason).toBe(reason);
    expect(isOver(stopped)).toBe(over);
    expect(cleared).toHaveLength(1);
  });

  it("clears nothing when the Attestor answers another digest", async () => {
    const attest = async () => create(AttestationSchema, { digest: `0x${"1".repeat(64)}` });
    const stopped = await carryOut(proposal, { ...ports, attest });
    expect(stopped.problem?.reason).toBe("DIGEST_DIFFERS");
    expect(isOver(stopped)).toBe(true);
    expect(cleared).toEqual([]);
  });

  it("outlives a reload, whatever it has come to", async () => {
    failures = [failure("INSUFFICIENT_FUNDS", Code.FailedPrecondition)];
    await carryOut(proposal, ports);
    expect(kept).toHaveLength(4);
    for (const purchase of kept) {
      expect(parsePurchase(JSON.parse(JSON.stringify(formatPurchase(purchase))))).toEqual(purchase);
    }
  });

  it("is not forgotten for one of another tab", () => {
    const storage = memoryStorage();
    const tabs = [openPurchases(storage, wallet.address), openPurchases(storage, wallet.address)];
    const other = proposePurchase("BUNDLE", purchaseIntent(bundle, wallet.address), domain);
    tabs[0]?.keep(proposal);
    tabs[1]?.keep(other);
    expect(openPurchases(storage, wallet.address).state.get()).toEqual([other, proposal]);
  });

  it("is not forgotten for newer ones while it is not over", () => {
    const storage = memoryStorage();
    const purchases = openPurchases(storage, wallet.address);
    purchases.keep(proposal);
    for (let count = 0; count < 40; count += 1) {
      const intent = purchaseIntent(bundle, wallet.address);
      const other = proposePurchase("BUNDLE", intent, domain);
      purchases.keep({ ...other, clearing: create(ClearingSchema) });
    }
    const again = openPurchases(storage, wallet.address).state.get();
    expect(again.length).toBeLessThanOrEqual(21);
    expect(again.at(-1)).toEqual(proposal);
  });
});
