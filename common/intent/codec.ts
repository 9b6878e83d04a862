import { create } from "@bufbuild/protobuf";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { TimestampSchema } from "@bufbuild/protobuf/wkt";
import { parseWallet } from "#common/address.ts";
import { formatApproval, parseApprovals } from "#common/approval/codec.ts";
import { invalidField } from "#common/domain-error.ts";
import { proofBytesMax, proofBytesMin } from "#common/tree/proof.ts";
import { formatU128, parseU128 } from "#common/u128.ts";
import {
  type Attestation as AttestationProto,
  AttestationSchema,
  type AttestedTree as AttestedTreeProto,
  AttestedTreeSchema,
} from "#gen/sovr/attestor/v1/attestation_pb.ts";
import {
  type ClearingIntent as ClearingIntentProto,
  ClearingIntentSchema,
  Phase as PhaseProto,
} from "#gen/sovr/attestor/v1/intent_pb.ts";
import type { Attestation, AttestedTree, Intent, Phase, Posting } from "./intent.ts";
import { isDigest } from "./rules.ts";
import { parseSignature } from "./signature.ts";

const phaseToProto = {
  IMMEDIATE: PhaseProto.IMMEDIATE,
  PENDING: PhaseProto.PENDING,
  POST_PENDING: PhaseProto.POST_PENDING,
  VOID_PENDING: PhaseProto.VOID_PENDING,
} as const satisfies Record<Phase, PhaseProto>;

const phaseFromProto = new Map<number, Phase>(
  Object.entries(phaseToProto).map(([phase, number]) => [number, phase as Phase]),
);

/** The proto value of a phase. */
export function formatPhase(phase: Phase): PhaseProto {
  return phaseToProto[phase];
}

/**
 * Reads an intent from the wire into the domain: ranges of u128, EIP-55, whole seconds. The patterns of the
 * proto are checked before. Throws INVALID_FIELD with paths below `intent`.
 */
export function parseIntent(proto: ClearingIntentProto): Intent {
  const phase = phaseFromProto.get(proto.phase);
  if (phase === undefined) throw invalidField("intent.phase", "enum.defined_only", "is unknown");
  return {
    intentId: proto.intentId,
    phase,
    wallet: parseWallet(proto.wallet, "intent.wallet"),
    merchantId: proto.merchantId,
    reference: proto.reference,
    postings: proto.postings.map(parsePosting),
    corrects: proto.corrects,
    pendingIntentId: proto.pendingIntentId,
    timeoutSeconds: proto.timeoutSeconds,
    issueTime: parseSeconds(proto.issueTime, "intent.issue_time"),
    expireTime: parseSeconds(proto.expireTime, "intent.expire_time"),
  };
}

function parsePosting(proto: ClearingIntentProto["postings"][number], index: number): Posting {
  const field = `intent.postings[${index}]`;
  return {
    debitAccountId: parseU128(proto.debitAccountId, `${field}.debit_account_id`),
    creditAccountId: parseU128(proto.creditAccountId, `${field}.credit_account_id`),
    amount: parseU128(proto.amount, `${field}.amount`),
    ledger: proto.ledger,
    code: proto.code,
  };
}

function parseSeconds(time: Timestamp | undefined, field: string): bigint {
  if (time === undefined) throw invalidField(field, "required", "is required");
  if (time.nanos !== 0)
    throw invalidField(field, "timestamp.whole_seconds", "must be whole seconds");
  return time.seconds;
}

/** Writes an intent for the wire. */
export function formatIntent(intent: Intent): ClearingIntentProto {
  return create(ClearingIntentSchema, {
    intentId: intent.intentId,
    phase: phaseToProto[intent.phase],
    wallet: intent.wallet,
    merchantId: intent.merchantId,
    reference: intent.reference,
    postings: intent.postings.map((posting) => ({
      debitAccountId: formatU128(posting.debitAccountId),
      creditAccountId: formatU128(posting.creditAccountId),
      amount: formatU128(posting.amount),
      ledger: posting.ledger,
      code: posting.code,
    })),
    corrects: intent.corrects,
    pendingIntentId: intent.pendingIntentId,
    timeoutSeconds: intent.timeoutSeconds,
    issueTime: create(TimestampSchema, { seconds: intent.issueTime }),
    expireTime: create(TimestampSchema, { seconds: intent.expireTime }),
  });
}

/** Reads an attestation from the wire into the domain. Throws INVALID_FIELD with paths below `attestation`. */
export function parseAttestation(proto: AttestationProto): Attestation {
  if (!isDigest(proto.digest)) {
    throw invalidField("attestation.digest", "string.pattern", "must be 0x and 64 hex digits");
  }
  return {
    digest: proto.digest,
    signature: parseSignature(proto.signature, "attestation.signature"),
    signer: parseWallet(proto.signer, "attestation.signer"),
    walletSignature: parseWalletSignature(proto.walletSignature, "attestation.wallet_signature"),
    ...(proto.approvals.length === 0
      ? {}
      : { approvals: parseApprovals(proto.approvals, "attestation.approvals") }),
    ...(proto.tree === undefined ? {} : { tree: parseTree(proto.tree) }),
  };
}

const proofHex = new RegExp(`^0x([0-9a-f]{2}){${proofBytesMin},${proofBytesMax}}$`);

/** A proof that is none is refused when it is verified: it is well-formed, and wrong. */
function parseTree({ proof, issueTime }: AttestedTreeProto): AttestedTree {
  const seconds = parseSeconds(issueTime, "attestation.tree.issue_time");
  if (!proofHex.test(proof)) {
    throw invalidField(
      "attestation.tree.proof",
      "string.pattern",
      `must be ${proofBytesMin} to ${proofBytesMax} bytes as lower-case 0x hex`,
    );
  }
  return { proof, issueTime: seconds };
}

/** Reads a wallet's signature, which may be absent. Throws INVALID_FIELD that names `field`. */
export function parseWalletSignature(text: string, field: string): string {
  return text === "" ? "" : parseSignature(text, field);
}

/** Writes an attestation for the wire. */
export function formatAttestation(attestation: Attestation): AttestationProto {
  const { approvals, tree, ...signatures } = attestation;
  return create(AttestationSchema, {
    ...signatures,
    ...(approvals === undefined ? {} : { approvals: approvals.map(formatApproval) }),
    ...(tree === undefined ? {} : { tree: formatTree(tree) }),
  });
}

function formatTree({ proof, issueTime }: AttestedTree): AttestedTreeProto {
  return create(AttestedTreeSchema, {
    proof,
    issueTime: create(TimestampSchema, { seconds: issueTime }),
  });
}
