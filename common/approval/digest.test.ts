import { readFileSync } from "node:fs";
import { TypedDataEncoder } from "ethers";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { domainEncoder, type IntentDomain } from "#common/intent/digest.ts";
import { parseSignature, recoverAddress } from "#common/intent/signature.ts";
import { testDomain } from "../../test/support/intents/intents.ts";
import type { Decision } from "./approval.ts";
import { approvalDigester } from "./digest.ts";
import { approvalTypes } from "./typed-data.ts";

const vectors: {
  readonly domain: Omit<IntentDomain, "chainId"> & { readonly chainId: string };
  readonly types: object;
  readonly approver: { readonly address: string };
  readonly approvals: readonly {
    readonly name: string;
    readonly intentDigest: string;
    readonly decision: Decision;
    readonly issuedAt: number;
    readonly expiresAt: number;
    readonly digest: string;
    readonly signature: string;
    readonly compact: string;
  }[];
} = JSON.parse(readFileSync(new URL("../../test/vectors/approvals.json", import.meta.url), "utf8"));

describe("the golden vectors", () => {
  const domain = { ...vectors.domain, chainId: BigInt(vectors.domain.chainId) };
  const digestApproval = approvalDigester(domainEncoder(domain));

  test("are of our types", () => expect(approvalTypes).toEqual(vectors.types));

  test.each(vectors.approvals)("$name: digest and approver", (vector) => {
    const digest = digestApproval(vector.intentDigest, {
      decision: vector.decision,
      issueTime: BigInt(vector.issuedAt),
      expireTime: BigInt(vector.expiresAt),
    });
    expect(digest).toBe(vector.digest);
    for (const signature of [vector.signature, vector.compact]) {
      const parsed = parseSignature(signature, "signature");
      expect(recoverAddress(digest, parsed)).toBe(vectors.approver.address);
    }
  });
});

test("whatever is approved, the digest is that of ethers", () => {
  const digestApproval = approvalDigester(domainEncoder(testDomain));
  const word = fc.uint8Array({ minLength: 32, maxLength: 32 });
  const seconds = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
  const decisions = fc.constantFrom<Decision>("APPROVE", "REJECT");
  fc.assert(
    fc.property(word, decisions, seconds, seconds, (bytes, decision, issueTime, expireTime) => {
      const intentDigest = `0x${Buffer.from(bytes).toString("hex")}`;
      const message = { intentDigest, decision, issuedAt: issueTime, expiresAt: expireTime };
      const types = { Approval: [...approvalTypes.Approval] };
      expect(digestApproval(intentDigest, { decision, issueTime, expireTime })).toBe(
        TypedDataEncoder.hash(testDomain, types, message),
      );
    }),
    { numRuns: 50 },
  );
});
