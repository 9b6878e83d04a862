import { readFileSync } from "node:fs";
import { fromJson, type JsonValue, toJson } from "@bufbuild/protobuf";
import { TypedDataEncoder } from "ethers";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatWallet } from "#common/address.ts";
import { newUuidV7 } from "#common/uuid.ts";
import { ClearingIntentSchema } from "#gen/sovr/attestor/v1/intent_pb.ts";
import { testDomain } from "../../test/support/intents/intents.ts";
import { formatIntent, parseIntent } from "./codec.ts";
import { intentDigester, intentDomain } from "./digest.ts";
import type { Intent } from "./intent.ts";
import { parseSignature, recoverAddress, signDigest } from "./signature.ts";
import { intentTypes } from "./typed-data.ts";

interface IntentVector {
  readonly name: string;
  readonly intent: JsonValue;
  readonly digest: string;
  readonly walletSignature: string;
  readonly walletSignatureCompact: string;
}

const vectors: {
  readonly mailExample: {
    readonly privateKey: string;
    readonly address: string;
    readonly digest: string;
    readonly signature: string;
  };
  readonly environment: string;
  readonly clusterId: string;
  readonly domain: {
    readonly chainId: string;
    readonly verifyingContract: string;
    readonly salt: string;
  };
  readonly types: object;
  readonly keys: { readonly wallet: { readonly privateKey: string; readonly address: string } };
  readonly intents: readonly IntentVector[];
} = JSON.parse(readFileSync(new URL("../../test/vectors/eip712.json", import.meta.url), "utf8"));

const domain = intentDomain({
  environment: vectors.environment,
  clusterId: BigInt(vectors.clusterId),
  chainId: BigInt(vectors.domain.chainId),
  verifyingContract: vectors.domain.verifyingContract,
});

describe("golden vectors", () => {
  const digestIntent = intentDigester(domain);

  test("domain and types are those that the vectors were made with", () => {
    expect({ ...domain, chainId: domain.chainId.toString() }).toEqual(vectors.domain);
    expect(intentTypes).toEqual(vectors.types);
  });

  test.each(vectors.intents)("$name: proto JSON to digest", ({ intent, digest }) => {
    expect(digestIntent(parseIntent(fromJson(ClearingIntentSchema, intent)))).toBe(digest);
  });

  test.each(vectors.intents)("$name: the codec gives the intent back", ({ intent }) => {
    const proto = fromJson(ClearingIntentSchema, intent);
    expect(toJson(ClearingIntentSchema, formatIntent(parseIntent(proto)))).toEqual(
      toJson(ClearingIntentSchema, proto),
    );
  });

  test.each(vectors.intents)("$name: the wallet's signature, in both forms", (vector) => {
    const { digest, walletSignature, walletSignatureCompact } = vector;
    const { privateKey, address } = vectors.keys.wallet;
    expect(signDigest(digest, Buffer.from(privateKey.slice(2), "hex"))).toBe(walletSignature);
    for (const form of [
      walletSignature,
      walletSignatureCompact,
      walletSignature.toUpperCase().replace("0X", "0x"),
    ]) {
      const signature = parseSignature(form, "wallet_signature");
      expect(signature).toBe(walletSignature);
      expect(recoverAddress(digest, signature)).toBe(address);
    }
  });

  test("no two of them have the same digest", () => {
    expect(new Set(vectors.intents.map(({ digest }) => digest)).size).toBe(vectors.intents.length);
  });

  test("the published example of EIP-712: its authors' signature is ours", () => {
    const { privateKey, address, digest, signature } = vectors.mailExample;
    expect(recoverAddress(digest, signature)).toBe(address);
    expect(signDigest(digest, Buffer.from(privateKey.slice(2), "hex"))).toBe(signature);
  });
});

const u128 = fc.bigInt({ min: 0n, max: 2n ** 128n - 1n });
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const hex32 = bytes(32).map((value) => `0x${Buffer.from(value).toString("hex")}`);
const uuid = fc.integer({ min: 0, max: 2 ** 48 - 1 }).map(newUuidV7);
const printable = fc.string({ unit: "grapheme-ascii", maxLength: 128 });
const anyIntent: fc.Arbitrary<Intent> = fc.record({
  intentId: uuid,
  phase: fc.constantFrom("IMMEDIATE", "PENDING", "POST_PENDING", "VOID_PENDING"),
  wallet: bytes(20).map(formatWallet),
  merchantId: printable,
  reference: printable,
  postings: fc.array(
    fc.record({
      debitAccountId: u128,
      creditAccountId: u128,
      amount: u128,
      ledger: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      code: fc.integer({ min: 0, max: 65_535 }),
    }),
    { minLength: 1, maxLength: 64 },
  ),
  corrects: fc.oneof(fc.constant(""), hex32),
  pendingIntentId: fc.oneof(fc.constant(""), uuid),
  timeoutSeconds: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  issueTime: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  expireTime: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
});

test("the digest is what ethers computes, and one intent leaves nothing behind for the next", () => {
  const types = JSON.parse(JSON.stringify(intentTypes));
  const digestIntent = intentDigester(testDomain);
  fc.assert(
    fc.property(anyIntent, (intent) => {
      const expected = TypedDataEncoder.hash({ ...testDomain }, types, intentMessage(intent));
      expect(digestIntent(intent)).toBe(expected);
    }),
    { numRuns: 60 },
  );
});

test.each([
  ["environment", { environment: "production" }],
  ["cluster", { clusterId: 1n }],
  ["chain", { chainId: 1n }],
  ["contract", { verifyingContract: "0x0000000000000000000000000000000000000001" }],
])("another %s gives another digest", (_what, change) => {
  const source = {
    environment: "e",
    clusterId: 0n,
    chainId: 31_337n,
    verifyingContract: testDomain.verifyingContract,
  };
  const [vector] = vectors.intents;
  const intent = parseIntent(fromJson(ClearingIntentSchema, vector?.intent ?? {}));
  const digest = intentDigester(intentDomain(source))(intent);
  expect(intentDigester(intentDomain({ ...source, ...change }))(intent)).not.toBe(digest);
});

/** An intent as the EIP-712 message that wallets are shown and sign, for ethers. */
function intentMessage(intent: Intent): Record<string, unknown> {
  return {
    intentId: intent.intentId,
    phase: intent.phase,
    wallet: intent.wallet,
    merchantId: intent.merchantId,
    reference: intent.reference,
    postings: intent.postings.map((posting) => ({ ...posting })),
    corrects: intent.corrects === "" ? `0x${"00".repeat(32)}` : intent.corrects,
    pendingIntentId: intent.pendingIntentId,
    timeoutSeconds: intent.timeoutSeconds,
    issuedAt: intent.issueTime,
    expiresAt: intent.expireTime,
  };
}
