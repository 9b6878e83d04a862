import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { TypedDataDomain, TypedDataField } from "ethers";
import type { GetDomainResponse } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import { type ClearingIntent, PhaseSchema } from "#gen/sovr/attestor/v1/intent_pb.ts";

/** What ethers signs and hashes: domain, types, message. */
export type TypedIntent = [
  TypedDataDomain,
  Record<string, TypedDataField[]>,
  Record<string, unknown>,
];

/** An intent off the wire as EIP-712 typed data, by what the Attestor tells anyone; none of our own code digests it. */
export function typedIntent(
  domain: GetDomainResponse,
  intent: ClearingIntent | undefined,
): TypedIntent {
  if (intent === undefined) throw new Error("there is no intent");
  const { name, version, chainId, verifyingContract, salt } = domain;
  const seconds = (time: ClearingIntent["issueTime"]) =>
    time === undefined ? 0 : timestampDate(time).getTime() / 1_000;
  const { wallet, merchantId, reference, intentId, pendingIntentId, timeoutSeconds } = intent;
  return [
    { name, version, chainId, verifyingContract, salt },
    JSON.parse(domain.typesJson) as Record<string, TypedDataField[]>,
    {
      intentId,
      phase: PhaseSchema.value[intent.phase]?.localName,
      wallet,
      merchantId,
      reference,
      postings: intent.postings,
      corrects: intent.corrects === "" ? `0x${"00".repeat(32)}` : intent.corrects,
      pendingIntentId,
      timeoutSeconds,
      issuedAt: seconds(intent.issueTime),
      expiresAt: seconds(intent.expireTime),
    },
  ];
}
