import { create } from "@bufbuild/protobuf";
import { TimestampSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { AttestationSchema, AttestedTreeSchema } from "#gen/sovr/attestor/v1/attestation_pb.ts";
import {
  type ClearingIntent,
  ClearingIntentSchema,
  Phase,
  PostingSchema,
} from "#gen/sovr/attestor/v1/intent_pb.ts";
import {
  alice,
  attest,
  attestorKey,
  intentOf,
  posting,
} from "../../test/support/intents/intents.ts";
import { attestTree } from "../../test/support/intents/trees.ts";
import {
  formatAttestation,
  formatIntent,
  formatPhase,
  parseAttestation,
  parseIntent,
  parseWalletSignature,
} from "./codec.ts";

const intent = intentOf({ postings: [posting(), posting({ amount: 2n ** 128n - 1n })] });

function invalid(field: string) {
  return expect.objectContaining({
    kind: "INVALID_FIELD",
    metadata: expect.objectContaining({ field }),
  });
}

test("an intent survives the way out and back", () => {
  expect(parseIntent(formatIntent(intent))).toEqual(intent);
  const pending = intentOf({
    phase: "PENDING",
    timeoutSeconds: 9,
    corrects: `0x${"12".repeat(32)}`,
  });
  expect(parseIntent(formatIntent(pending))).toEqual(pending);
});

test("a wallet comes in in any case and goes out in EIP-55", () => {
  const proto = { ...formatIntent(intent), wallet: alice.address.toLowerCase() };
  expect(parseIntent(create(ClearingIntentSchema, proto)).wallet).toBe(alice.address);
});

test.each(["IMMEDIATE", "PENDING", "POST_PENDING", "VOID_PENDING"] as const)(
  "phase %s",
  (phase) => {
    expect(formatPhase(phase)).toBe(Phase[phase]);
    expect(parseIntent(formatIntent({ ...intent, phase })).phase).toBe(phase);
  },
);

describe("parseIntent refuses", () => {
  const tooLarge = (2n ** 128n).toString();
  const [first] = formatIntent(intent).postings;
  const changed = (change: object) => Object.assign(create(PostingSchema), first, change);
  const half = create(TimestampSchema, { seconds: 1n, nanos: 500_000_000 });

  test.each<[string, Partial<ClearingIntent>, string]>([
    ["no phase", { phase: Phase.UNSPECIFIED }, "intent.phase"],
    ["an unknown phase", { phase: 99 as Phase }, "intent.phase"],
    ["a short wallet", { wallet: "0x12" }, "intent.wallet"],
    ["half a second", { issueTime: half }, "intent.issue_time"],
    ["half a second at the end", { expireTime: half }, "intent.expire_time"],
    [
      "a debit account beyond u128",
      { postings: [changed({ debitAccountId: tooLarge })] },
      "intent.postings[0].debit_account_id",
    ],
    [
      "a credit account beyond u128",
      { postings: [changed({ creditAccountId: tooLarge })] },
      "intent.postings[0].credit_account_id",
    ],
    [
      "an amount beyond u128",
      { postings: [changed({}), changed({ amount: tooLarge })] },
      "intent.postings[1].amount",
    ],
    ["a negative amount", { postings: [changed({ amount: "-1" })] }, "intent.postings[0].amount"],
  ])("%s", (_what, change, field) => {
    const proto = create(ClearingIntentSchema, { ...formatIntent(intent), ...change });
    expect(() => parseIntent(proto)).toThrow(invalid(field));
  });

  test.each(["issueTime", "expireTime"] as const)("no %s", (name) => {
    const proto = formatIntent(intent);
    delete proto[name];
    const field = name === "issueTime" ? "intent.issue_time" : "intent.expire_time";
    expect(() => parseIntent(proto)).toThrow(invalid(field));
  });
});

describe("attestations", () => {
  const { approvals: _none, tree: _alone, ...attestation } = attest(intent, alice);

  test("survive the way out and back, also unsigned by a wallet", () => {
    expect(parseAttestation(formatAttestation(attestation))).toEqual(attestation);
    const house = attest(intent);
    expect(house.walletSignature).toBe("");
    expect(parseAttestation(formatAttestation(house))).toEqual(house);
  });

  test("out of a tree survive as well, and a proof has one spelling", () => {
    const [inTree = attestation] = attestTree([intent, intentOf()]);
    expect(parseAttestation(formatAttestation(inTree))).toEqual(inTree);
    const proto = formatAttestation(inTree);
    const half = create(TimestampSchema, { seconds: 1n, nanos: 1 });
    const issueTime = proto.tree?.issueTime ?? half;
    for (const proof of ["", "0x", `0x${"00".repeat(39)}`, `0x${"00".repeat(425)}`, "0xAB"]) {
      const tree = create(AttestedTreeSchema, { proof, issueTime });
      expect(() => parseAttestation({ ...proto, tree })).toThrow(invalid("attestation.tree.proof"));
    }
    const { proof = "" } = proto.tree ?? {};
    const tree = create(AttestedTreeSchema, { proof, issueTime: half });
    expect(() => parseAttestation({ ...proto, tree })).toThrow(
      invalid("attestation.tree.issue_time"),
    );
  });

  test("come in in every accepted spelling, and there is one inside", () => {
    const proto = create(AttestationSchema, {
      ...attestation,
      signature: `0x${attestation.signature.slice(2).toUpperCase()}`,
      signer: attestorKey.address.toLowerCase(),
    });
    expect(parseAttestation(proto)).toEqual(attestation);
  });

  test.each([
    ["signature", "attestation.signature"],
    ["signer", "attestation.signer"],
    ["walletSignature", "attestation.wallet_signature"],
  ])("a bad %s is named", (name, field) => {
    const proto = create(AttestationSchema, { ...attestation, [name]: "0x12" });
    expect(() => parseAttestation(proto)).toThrow(invalid(field));
  });

  test("a wallet's signature may be absent, the Attestor's not", () => {
    expect(parseWalletSignature("", "wallet_signature")).toBe("");
    expect(() =>
      parseAttestation(create(AttestationSchema, { ...attestation, signature: "" })),
    ).toThrow(invalid("attestation.signature"));
  });
});
