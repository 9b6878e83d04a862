import type { Pool } from "pg";
import { formatWallet } from "#common/address.ts";
import type { Attestation, AttestedIntent, Intent, Phase, Posting } from "#common/intent/intent.ts";
import { approvalsOf } from "./approvals.ts";
import { withRecords } from "./pool.ts";
import { treeOf } from "./trees.ts";

/** The channel on which Clearing tells that it committed something. */
export const clearedChannel = "sovr_cleared";

/** A row of the table `evidence`; the migration of Clearing says what the columns hold. */
export interface EvidenceRow {
  readonly intent_id: string;
  readonly digest: Buffer;
  readonly phase: number;
  readonly wallet: Buffer;
  readonly merchant_id: string;
  readonly reference: string;
  readonly postings: Buffer;
  readonly corrects: Buffer | null;
  readonly pending_intent_id: string | null;
  readonly timeout_seconds: number;
  /** bigint, which `pg` hands out as text. */
  readonly issue_time: string;
  readonly expire_time: string;
  readonly signature: Buffer;
  readonly signer: Buffer;
  readonly wallet_signature: Buffer | null;
  /** Absent where it is not asked for. */
  readonly approvals?: Buffer | null;
  /** Absent where it is not asked for. */
  readonly tree?: Buffer | null;
}

/** The columns of EvidenceRow but `approvals` and `tree`, for `select`. */
export const evidenceColumns =
  "intent_id, digest, phase, wallet, merchant_id, reference, postings, corrects, pending_intent_id, " +
  "timeout_seconds, issue_time, expire_time, signature, signer, wallet_signature";

/**
 * A select of evidence with its approvals and its place in a tree. Where Clearing is of an older version such a column is not
 * there yet: then its name means that of the row around it, which is null.
 */
function selectEvidence(condition: string): string {
  return `select found.* from (select null::bytea as approvals, null::bytea as tree) as older
    cross join lateral (select ${evidenceColumns}, approvals, tree from evidence where ${condition}) as found`;
}

/** The phase's number in the table. */
export const phaseNumbers = {
  IMMEDIATE: 1,
  PENDING: 2,
  POST_PENDING: 3,
  VOID_PENDING: 4,
} as const satisfies Record<Phase, number>;

const phaseNames: readonly (Phase | undefined)[] = [
  undefined,
  "IMMEDIATE",
  "PENDING",
  "POST_PENDING",
  "VOID_PENDING",
];

const postingBytes = 54;

/** Packs postings for the column `postings`. */
export function packPostings(postings: readonly Posting[]): Buffer {
  const bytes = Buffer.allocUnsafe(postings.length * postingBytes);
  let offset = 0;
  for (const posting of postings) {
    writeU128(bytes, posting.debitAccountId, offset);
    writeU128(bytes, posting.creditAccountId, offset + 16);
    writeU128(bytes, posting.amount, offset + 32);
    bytes.writeUInt32BE(posting.ledger, offset + 48);
    bytes.writeUInt16BE(posting.code, offset + 52);
    offset += postingBytes;
  }
  return bytes;
}

/** Unpacks the column `postings`. */
export function unpackPostings(bytes: Buffer): Posting[] {
  const postings: Posting[] = [];
  for (let offset = 0; offset < bytes.length; offset += postingBytes) {
    postings.push({
      debitAccountId: readU128(bytes, offset),
      creditAccountId: readU128(bytes, offset + 16),
      amount: readU128(bytes, offset + 32),
      ledger: bytes.readUInt32BE(offset + 48),
      code: bytes.readUInt16BE(offset + 52),
    });
  }
  return postings;
}

/** Reads a row into the domain. */
export function parseEvidence(row: EvidenceRow): AttestedIntent {
  const phase = phaseNames[row.phase];
  if (phase === undefined) throw new Error(`evidence ${row.intent_id}: unknown phase ${row.phase}`);
  const intent: Intent = {
    intentId: row.intent_id,
    phase,
    wallet: formatWallet(row.wallet),
    merchantId: row.merchant_id,
    reference: row.reference,
    postings: unpackPostings(row.postings),
    corrects: row.corrects === null ? "" : hex(row.corrects),
    pendingIntentId: row.pending_intent_id ?? "",
    timeoutSeconds: row.timeout_seconds,
    issueTime: BigInt(row.issue_time),
    expireTime: BigInt(row.expire_time),
  };
  const attestation: Attestation = {
    digest: hex(row.digest),
    signature: hex(row.signature),
    signer: formatWallet(row.signer),
    walletSignature: row.wallet_signature === null ? "" : hex(row.wallet_signature),
    ...approvalsOf(row.approvals),
    ...treeOf(row.tree),
  };
  return { intent, attestation };
}

/** The evidence of intents, by intent id. Unknown ids are left out. At most 8189 ids. RECORDS_UNAVAILABLE. */
export async function readEvidence(
  pool: Pool,
  intentIds: readonly string[],
): Promise<Map<string, AttestedIntent>> {
  if (intentIds.length === 0) return new Map();
  const result = await withRecords(() =>
    pool.query<EvidenceRow>(selectEvidence("intent_id = any($1::uuid[])"), [intentIds]),
  );
  return new Map(result.rows.map((row) => [row.intent_id, parseEvidence(row)]));
}

/**
 * The evidence of transfer rows, by the digest prefix that they carry (24 bytes as `0x` hex). Unknown prefixes are
 * left out. At most 8189 prefixes. RECORDS_UNAVAILABLE.
 */
export async function readEvidenceByPrefix(
  pool: Pool,
  prefixes: readonly string[],
): Promise<Map<string, AttestedIntent>> {
  if (prefixes.length === 0) return new Map();
  const result = await withRecords(() =>
    pool.query<EvidenceRow>({
      // Named, so that each connection plans it once: planning takes longer than finding one row.
      name: "evidence-by-prefix",
      text: selectEvidence("substring(digest from 1 for 24) = any($1::bytea[])"),
      values: [prefixes.map(unhex)],
    }),
  );
  return new Map(result.rows.map((row) => [hex(row.digest.subarray(0, 24)), parseEvidence(row)]));
}

/** The evidence of one intent by its whole digest, or undefined. RECORDS_UNAVAILABLE. */
export async function readEvidenceByDigest(
  pool: Pool,
  digest: string,
): Promise<AttestedIntent | undefined> {
  const found = await readEvidenceByPrefix(pool, [digest.slice(0, 50)]);
  const evidence = found.get(digest.slice(0, 50));
  return evidence?.attestation.digest === digest ? evidence : undefined;
}

/** Bytes as lower-case `0x` hex. */
export function hex(bytes: Uint8Array): string {
  return `0x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex")}`;
}

/** The bytes of `0x` hex. */
export function unhex(text: string): Buffer {
  return Buffer.from(text.slice(2), "hex");
}

function writeU128(target: Buffer, value: bigint, offset: number): void {
  target.writeBigUInt64BE(value >> 64n, offset);
  target.writeBigUInt64BE(value & 0xffff_ffff_ffff_ffffn, offset + 8);
}

function readU128(source: Buffer, offset: number): bigint {
  return (source.readBigUInt64BE(offset) << 64n) | source.readBigUInt64BE(offset + 8);
}

/** When evidence was stored, by intent id. Ids without evidence are left out. RECORDS_UNAVAILABLE. */
export async function readEvidenceTimes(
  pool: Pool,
  intentIds: readonly string[],
): Promise<ReadonlyMap<string, { readonly digest: string; readonly seenTime: bigint }>> {
  const { rows } = await withRecords(() =>
    pool.query<{ intent_id: string; digest: Buffer; seen_time: string }>({
      name: "evidence-times",
      text: `select intent_id, digest, floor(extract(epoch from insert_time))::bigint as seen_time
        from evidence where intent_id = any($1::uuid[])`,
      values: [intentIds],
    }),
  );
  return new Map(
    rows.map(({ intent_id, digest, seen_time }) => [
      intent_id,
      { digest: hex(digest), seenTime: BigInt(seen_time) },
    ]),
  );
}
