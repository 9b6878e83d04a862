import { describe, expect, test } from "vitest";
import { zeroWallet } from "#common/address.ts";
import {
  alice,
  attest,
  attestorKey,
  bob,
  digestBatch,
  digestIntent,
  intentOf,
  signIntent,
} from "../../test/support/intents/intents.ts";
import type { Attestation } from "./intent.ts";
import type { Signer } from "./signers.ts";
import { checkWalletSignature, verifyAttestation } from "./verify-attestation.ts";

const nowSeconds = BigInt(Math.floor(Date.now() / 1000));
const signer: Signer = {
  address: attestorKey.address,
  activateTime: nowSeconds - 1_000n,
  retireTime: undefined,
  revokeTime: undefined,
};
const byWallet = { wallet: true, house: false };
const byHouse = { wallet: false, house: true };
const intent = intentOf({ issueTime: nowSeconds });
const digest = digestIntent(intent);

function verify(
  attestation: Attestation,
  change: { signers?: Signer[]; authority?: typeof byWallet } = {},
) {
  return () =>
    verifyAttestation(intent, attestation, {
      digestIntent,
      digestBatch,
      signers: [signer],
      nowSeconds,
      authority: byWallet,
      ...change,
    });
}

describe("verifyAttestation", () => {
  test("gives the digest of what is good", () => {
    expect(verify(attest(intent, alice))()).toBe(digest);
    expect(verify(attest(intent), { authority: byHouse })()).toBe(digest);
  });

  test.each<[string, Attestation]>([
    ["another intent's digest", { ...attest(intent, alice), digest: digestIntent(intentOf()) }],
    ["another intent's attestation", attest(intentOf(), alice)],
    [
      "another intent's signature",
      { ...attest(intent, alice), signature: attest(intentOf()).signature },
    ],
    [
      "a signature that is not by the signer named",
      { ...attest(intent, alice, bob), signer: attestorKey.address },
    ],
    ["a signature by nobody", { ...attest(intent, alice), signature: `0x${"00".repeat(64)}1b` }],
    [
      "the wallet's signature in place of the signer's",
      { ...attest(intent, alice), signature: signIntent(intent, alice) },
    ],
  ])("%s is ATTESTATION_INVALID", (_what, attestation) => {
    expect(verify(attestation)).toThrow(
      expect.objectContaining({
        kind: "ATTESTATION_INVALID",
        metadata: { intentId: intent.intentId, digest },
      }),
    );
  });

  test.each<[string, Signer[], string]>([
    ["is not known", [{ ...signer, address: bob.address }], "UNKNOWN"],
    ["is revoked", [{ ...signer, revokeTime: nowSeconds }], "REVOKED"],
    ["was not active yet", [{ ...signer, activateTime: nowSeconds + 301n }], "NOT_ACTIVE_THEN"],
    ["was retired", [{ ...signer, retireTime: nowSeconds - 300n }], "NOT_ACTIVE_THEN"],
  ])("a signer that %s is SIGNER_NOT_TRUSTED", (_what, signers, state) => {
    expect(verify(attest(intent, alice), { signers })).toThrow(
      expect.objectContaining({
        kind: "SIGNER_NOT_TRUSTED",
        metadata: { signer: attestorKey.address, state },
      }),
    );
  });
});

describe("checkWalletSignature", () => {
  const check =
    (walletSignature: string, authority: typeof byWallet, wallet = alice.address) =>
    () =>
      checkWalletSignature({ ...intent, wallet }, digest, walletSignature, authority);

  test("takes the wallet's own, and none where the rules ask for none", () => {
    expect(check(signIntent(intent, alice), byWallet)).not.toThrow();
    expect(check(signIntent(intent, alice), byHouse)).not.toThrow();
    expect(check("", byHouse)).not.toThrow();
  });

  test.each<[string, () => void]>([
    ["none where one is needed", check("", byWallet)],
    ["another's", check(signIntent(intent, bob), byWallet)],
    ["another's, though none is needed", check(signIntent(intent, bob), byHouse)],
    ["one over another intent", check(signIntent(intentOf(), alice), byWallet)],
    ["one by nobody for the zero wallet", check(`0x${"00".repeat(64)}1b`, byWallet, zeroWallet)],
  ])("refuses %s", (_what, work) => {
    expect(work).toThrow(
      expect.objectContaining({
        kind: "WALLET_SIGNATURE_INVALID",
        metadata: { wallet: expect.any(String), digest },
      }),
    );
  });
});
