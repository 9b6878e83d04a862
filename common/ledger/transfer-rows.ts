import { hash } from "node:crypto";
import type { Intent, Phase } from "#common/intent/intent.ts";
import { uuidBytes } from "#common/uuid.ts";

/** The row of one leg, in the fields of TigerBeetle's transfer. */
export interface TransferRow {
  /** u128. */
  readonly id: bigint;
  readonly debitAccountId: bigint;
  readonly creditAccountId: bigint;
  readonly amount: bigint;
  /** u128: for POST and VOID the same leg of the pending intent, else 0. */
  readonly pendingId: bigint;
  /** Digest bytes 0–15, big-endian. */
  readonly userData128: bigint;
  /** Digest bytes 16–23, big-endian. */
  readonly userData64: bigint;
  /** legs << 16 | leg. */
  readonly userData32: number;
  /** Seconds. */
  readonly timeout: number;
  readonly ledger: number;
  readonly code: number;
  readonly phase: Phase;
  /** True for every leg but the last: the chain is all or nothing. */
  readonly linked: boolean;
}

// Filled and hashed without a pause, so one is enough; and hashed to text, which costs a third of hashing to bytes.
const idPreimage = Buffer.concat([Buffer.from("sovr/transfer/v1", "ascii"), Buffer.alloc(18)]);

/**
 * The id of an intent's leg: the 48 timestamp bits of its UUIDv7, so that ids grow with time and TigerBeetle stays
 * fast, then the first 80 bits of SHA-256("sovr/transfer/v1" ‖ intent id ‖ leg, u16), so that a retry is a replay.
 */
export function transferId(intentId: string, leg: number): bigint {
  const id = uuidBytes(intentId);
  idPreimage.set(id, 16);
  idPreimage.writeUInt16BE(leg, 32);
  const time = id.toString("hex", 0, 6);
  const hash80 = hash("sha256", idPreimage, "hex").slice(0, 20);
  return BigInt(`0x${time}${hash80}`);
}

/** The 24 bytes of a digest that a row carries, as the two numbers it carries them in. */
export interface DigestPrefix {
  readonly userData128: bigint;
  readonly userData64: bigint;
}

/** The part of a digest that goes into a row. `digest`: 32 bytes as `0x` hex. */
export function digestPrefix(digest: string): DigestPrefix {
  return {
    userData128: BigInt(digest.slice(0, 34)),
    userData64: BigInt(`0x${digest.slice(34, 50)}`),
  };
}

/** The digest prefix of a row as 24 bytes of lower-case `0x` hex. */
export function formatDigestPrefix(prefix: DigestPrefix): string {
  return `0x${prefix.userData128.toString(16).padStart(32, "0")}${prefix.userData64.toString(16).padStart(16, "0")}`;
}

/** Leg and legs of a row. */
export function legOf(userData32: number): { readonly leg: number; readonly legs: number } {
  return { leg: userData32 & 0xffff, legs: userData32 >>> 16 };
}

/** The rows of an intent: they follow from the intent and its digest alone, on every retry and in every audit. */
export function transferRows(intent: Intent, digest: string): TransferRow[] {
  const prefix = digestPrefix(digest);
  const legs = intent.postings.length;
  return intent.postings.map((posting, leg) => ({
    id: transferId(intent.intentId, leg),
    debitAccountId: posting.debitAccountId,
    creditAccountId: posting.creditAccountId,
    amount: posting.amount,
    pendingId: intent.pendingIntentId === "" ? 0n : transferId(intent.pendingIntentId, leg),
    userData128: prefix.userData128,
    userData64: prefix.userData64,
    userData32: ((legs << 16) | leg) >>> 0,
    timeout: intent.timeoutSeconds,
    ledger: posting.ledger,
    code: posting.code,
    phase: intent.phase,
    linked: leg < legs - 1,
  }));
}

/** A transfer as the ledger holds it. */
export interface CommittedTransfer extends TransferRow {
  /** Flags that no row of ours has (balancing, closing, imported), as TigerBeetle numbers them; 0 for none. */
  readonly foreignFlags: number;
  /** When it was committed: u64 nanoseconds, unique and in commit order. */
  readonly timestamp: bigint;
}

/** The fields that a row takes from its intent: all of them. */
const derivedFields = [
  "id",
  "debitAccountId",
  "creditAccountId",
  "amount",
  "pendingId",
  "userData128",
  "userData64",
  "userData32",
  "timeout",
  "ledger",
  "code",
  "phase",
  "linked",
] as const satisfies readonly (keyof TransferRow)[];

/** The fields in which a transfer differs from the row that its evidence derives. */
export function differingFields(
  transfer: CommittedTransfer,
  row: TransferRow,
): (keyof TransferRow)[] {
  return derivedFields.filter((field) => transfer[field] !== row[field]);
}

/** Whether a transfer is, field by field, what its evidence derives: whoever writes past Clearing can copy a digest. */
export function isDerivedRow(transfer: CommittedTransfer, row: TransferRow): boolean {
  return (
    transfer.foreignFlags === 0 && derivedFields.every((field) => transfer[field] === row[field])
  );
}
