import { type TypedDataDomain, TypedDataEncoder, type TypedDataField } from "ethers/hash";
import { recoverAddress as recover } from "ethers/transaction";
import { intentTypes } from "#common/intent/typed-data.ts";
import type { GetDomainResponse } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import { type ClearingIntent, Phase } from "#gen/sovr/attestor/v1/intent_pb.ts";

const phaseNames: Readonly<Record<number, string>> = {
  [Phase.IMMEDIATE]: "IMMEDIATE",
  [Phase.PENDING]: "PENDING",
  [Phase.POST_PENDING]: "POST_PENDING",
  [Phase.VOID_PENDING]: "VOID_PENDING",
};

const types = intentTypes as unknown as Record<string, TypedDataField[]>;

/**
 * The digest of an intent under the domain that the mesh tells: 32 bytes as lower-case `0x` hex. Throws Error if the
 * mesh tells other types than those that the app explains to people: a field that is not signed could be changed later.
 */
export function digestIntent(domain: GetDomainResponse, intent: ClearingIntent): string {
  const told: unknown = JSON.parse(domain.typesJson);
  if (JSON.stringify(told) !== JSON.stringify(intentTypes)) {
    throw new Error("The mesh signs a form of intent that this app does not know.");
  }
  return TypedDataEncoder.hash(domainOf(domain), types, messageOf(intent));
}

/** The address, EIP-55, that made a signature over a digest; undefined if none did. */
export function recoverSigner(digest: string, signature: string): string | undefined {
  try {
    return recover(digest, signature);
  } catch {
    return undefined; // malformed, or no point of the curve: nobody signed this
  }
}

/** The domain that the mesh tells, as ethers takes it. */
export function domainOf(domain: GetDomainResponse): TypedDataDomain {
  const { name, version, verifyingContract, salt } = domain;
  return { name, version, chainId: BigInt(domain.chainId), verifyingContract, salt };
}

function messageOf(intent: ClearingIntent): Record<string, unknown> {
  return {
    intentId: intent.intentId,
    phase: phaseNames[intent.phase] ?? "",
    wallet: intent.wallet,
    merchantId: intent.merchantId,
    reference: intent.reference,
    postings: intent.postings.map(({ debitAccountId, creditAccountId, amount, ledger, code }) => ({
      debitAccountId,
      creditAccountId,
      amount,
      ledger,
      code,
    })),
    corrects: intent.corrects === "" ? `0x${"00".repeat(32)}` : intent.corrects,
    pendingIntentId: intent.pendingIntentId,
    timeoutSeconds: intent.timeoutSeconds,
    issuedAt: intent.issueTime?.seconds ?? 0n,
    expiresAt: intent.expireTime?.seconds ?? 0n,
  };
}
