// Goal: nobody sees a leg of another's, or what could tell of one. Method: the one rule, for every kind of viewer.
import { describe, expect, test } from "vitest";
import { zeroWallet } from "#common/address.ts";
import type { AttestedIntent, Intent } from "#common/intent/intent.ts";
import { approve, approvers } from "../../test/support/approval/approvals.ts";
import {
  alice,
  attest,
  bob,
  funding,
  houseIntentOf,
  intentOf,
  purchase,
  testKey,
  transfer,
} from "../../test/support/intents/intents.ts";
import { everyone, type Viewer, viewerOf, visibleTo } from "./visibility.ts";

const carol = testKey(0xca01);
const asAlice = viewerOf({ wallet: alice.address });
const asBob = viewerOf({ wallet: bob.address });
const asCarol = viewerOf({ wallet: carol.address });
const asMarket = viewerOf({ wallet: undefined, merchant: "market-1" });

function attested(intent: Intent): AttestedIntent {
  return { intent, attestation: attest(intent, alice) };
}
function see(
  viewer: Viewer,
  evidence: AttestedIntent | undefined,
  legs = evidence?.intent.postings,
) {
  return visibleTo(viewer, evidence, legs ?? []);
}

const pay = attested(
  intentOf({
    postings: [transfer(alice.address, bob.address), transfer(alice.address, carol.address)],
    corrects: `0x${"12".repeat(32)}`,
  }),
);

describe("an intent with legs of several", () => {
  test("is told whole to operators, and to the one in whose name it is if all legs are his", () => {
    const whole = { masked: false, legs: pay.intent.postings, legCount: 2, evidence: pay };
    expect(see(everyone, pay)).toEqual(whole);
    expect(see(viewerOf({ wallet: undefined }), pay)).toEqual(whole);
    expect(see(asAlice, pay)).toEqual(whole);
  });

  test("shows the approvals of the house to nobody who is bound", () => {
    const intent = houseIntentOf({ wallet: alice.address, postings: [funding(alice.address)] });
    const plain = attested(intent);
    const approvals = [approve(plain.attestation.digest, approvers[0])];
    const approved = { intent, attestation: { ...plain.attestation, approvals } };
    expect(see(everyone, approved)?.evidence?.attestation.approvals).toEqual(approvals);
    for (const viewer of [asAlice, asMarket, asBob]) {
      expect(see(viewer, approved)?.evidence?.attestation.approvals).toBeUndefined();
    }
    expect(see(asAlice, approved)?.evidence?.attestation.digest).toBe(plain.attestation.digest);
  });

  test("shows a recipient that it is, how it was attested, and his own leg", () => {
    const { intentId, phase, issueTime, expireTime, timeoutSeconds, postings } = pay.intent;
    const { digest, signature, signer } = pay.attestation;
    expect(see(asCarol, pay)).toEqual({
      masked: true,
      legs: [postings[1]],
      legCount: 2,
      evidence: {
        intent: {
          intentId,
          phase,
          issueTime,
          expireTime,
          timeoutSeconds,
          wallet: alice.address,
          postings: [postings[1]],
          merchantId: "",
          reference: "",
          corrects: "",
          pendingIntentId: "",
        },
        attestation: { digest, signature, signer, walletSignature: "" },
      },
    });
  });

  test("keeps the wallet from those with whom it shares no leg", () => {
    const house = attested(
      intentOf({ postings: [funding(alice.address), funding(bob.address)], wallet: alice.address }),
    );
    expect(see(asBob, house)?.evidence?.intent.wallet).toBe("");
    expect(see(asAlice, house)).toMatchObject({ masked: true, legs: [{}], legCount: 2 });
    expect(see(asAlice, house)?.evidence?.intent).toMatchObject({
      wallet: alice.address,
      reference: "",
    });
    const nobodys = attested(houseIntentOf({ postings: house.intent.postings }));
    expect(see(asBob, nobodys)?.evidence?.intent.wallet).toBe(zeroWallet);
  });

  test("is nothing to others", () => {
    const own = attested(intentOf());
    expect(see(asBob, own)).toBeUndefined();
  });
});

test("what another writes is not told to the one whom he pays, though there is no other leg", () => {
  const paid = attested(intentOf({ postings: [transfer(alice.address, bob.address)] }));
  const seen = see(asBob, paid);
  expect(seen).toMatchObject({ masked: true, legCount: 1, legs: paid.intent.postings });
  expect(seen?.evidence?.intent).toMatchObject({ reference: "", merchantId: "" });
  expect(seen?.evidence?.attestation.walletSignature).toBe("");
});

test("what nobody attested is told by its own legs alone", () => {
  const legs = [purchase(alice.address), purchase(bob.address)];
  expect(see(asBob, undefined, legs)).toEqual({
    masked: true,
    legs: [legs[1]],
    legCount: 2,
    evidence: undefined,
  });
  expect(see(asCarol, undefined, legs)).toBeUndefined();
  expect(see(asMarket, undefined, legs)).toBeUndefined();
});

test("a merchant sees what names him, but for the wallet's signature, and owns no account", () => {
  const seen = see(asMarket, pay);
  expect(seen).toMatchObject({ masked: false, legs: pay.intent.postings });
  expect(seen?.evidence?.intent).toEqual(pay.intent);
  expect(seen?.evidence?.attestation).toEqual({ ...pay.attestation, walletSignature: "" });
  expect(see(asMarket, attested(intentOf({ merchantId: "market-2" })))).toBeUndefined();
  expect(see(asMarket, attested(intentOf({ merchantId: "" })))).toBeUndefined();
  expect(asMarket.sees(4_000_001n)).toBe(false);
  const keys = [asAlice, asBob, asMarket, everyone].map(({ key }) => key);
  expect(new Set(keys).size).toBe(4);
});
