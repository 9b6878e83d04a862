import type {
  Account,
  AccountBalance,
  AccountFilter,
  CreateAccountResult,
  CreateTransferResult,
  QueryFilter,
  Transfer,
} from "tigerbeetle-node";
import { EmbeddedLedgerError } from "../errors.ts";
import { ACCOUNT_FLAG, TRANSFER_FLAG } from "./flags.ts";
import { BALANCE_TIMESTAMP, FILTER, RESULT_WORDS, ROW_WORDS, TRANSFER as T } from "./words.ts";

const U64_MAX = (1n << 64n) - 1n;
const U128_MAX = (1n << 128n) - 1n;

/**
 * A growing buffer of packed events. The setters accept and refuse exactly what the native client
 * does, with its messages, so that a mistake shows the same way on either engine.
 */
export class Packer {
  #buffer: ArrayBuffer;
  #words: Uint32Array;
  #longs: BigUint64Array;
  /** Words in use. */
  length = 0;

  constructor(words: number) {
    this.#buffer = new ArrayBuffer(Math.max(words, ROW_WORDS) * 4);
    this.#words = new Uint32Array(this.#buffer);
    this.#longs = new BigUint64Array(this.#buffer);
  }

  /** Makes room for more words, all zero. */
  reserve(words: number): void {
    const needed = this.length + words;
    if (needed <= this.#words.length) return;
    const larger = new ArrayBuffer(Math.max(needed, this.#words.length * 2) * 4);
    new Uint32Array(larger).set(this.#words.subarray(0, this.length));
    this.#buffer = larger;
    this.#words = new Uint32Array(larger);
    this.#longs = new BigUint64Array(larger);
  }

  /** Takes back what was packed after `length`, leaving zeros. */
  truncate(length: number): void {
    this.#words.fill(0, length, this.length);
    this.length = length;
  }

  /** The buffer, cut to its content; the packer must not be used afterwards. */
  take(): ArrayBuffer {
    const bytes = this.length * 4;
    return bytes === this.#buffer.byteLength ? this.#buffer : this.#buffer.slice(0, bytes);
  }

  u128(word: number, value: unknown, name: string): void {
    if (typeof value !== "bigint") throw new Error(`${name} must be a BigInt`);
    if (value < 0n) throw new Error(`${name} must be positive`);
    const long = word >>> 1;
    this.#longs[long] = value;
    if (value <= U64_MAX) return;
    if (value > U128_MAX) throw new Error(`${name} must fit in 128 bits`);
    this.#longs[long + 1] = value >> 64n;
  }

  u64(word: number, value: unknown, name: string): void {
    if (typeof value !== "bigint") {
      throw new Error(`${name} must be an unsigned 64-bit BigInt`);
    }
    if (value < 0n || value > U64_MAX) throw new Error(`${name} conversion was lossy`);
    this.#longs[word >>> 1] = value;
  }

  u32(word: number, value: unknown, name: string): void {
    this.#words[word] = u32(value, name);
  }

  u16(word: number, value: unknown, name: string): void {
    this.#words[word] = u16(value, name);
  }

  /** The code in the low half, the flags in the high half. */
  codeFlags(word: number, code: number, flags: number): void {
    this.#words[word] = code | (flags << 16);
  }
}

/** The native client takes numbers modulo 2^32 and cuts fractions, as `>>> 0` does. */
function u32(value: unknown, name: string): number {
  if (typeof value !== "number") throw new Error(`${name} must be a number`);
  return value >>> 0;
}

function u16(value: unknown, name: string): number {
  const number = u32(value, name);
  if (number > 0xffff) throw new Error(`${name} must be a u16.`);
  return number;
}

function refuseImported(): never {
  throw new EmbeddedLedgerError(
    "ERR_EMBEDDED_IMPORTED_REFUSED",
    "The embedded ledger refuses the imported flag: imported events would appear behind readers",
  );
}

/** Packs accounts. The fields are read in TigerBeetle's order: the first bad one is reported. */
export function packAccounts(packer: Packer, batch: readonly Account[]): void {
  packer.reserve(batch.length * ROW_WORDS);
  let imported = false;
  for (let i = 0; i < batch.length; i++) {
    const a = objectAt(batch, i) as Account;
    const o = packer.length;
    packer.length = o + ROW_WORDS;
    packer.u128(o, a.id, "id");
    packer.u128(o + 4, a.debits_pending, "debits_pending");
    packer.u128(o + 8, a.debits_posted, "debits_posted");
    packer.u128(o + 12, a.credits_pending, "credits_pending");
    packer.u128(o + 16, a.credits_posted, "credits_posted");
    packer.u128(o + 20, a.user_data_128, "user_data_128");
    packer.u64(o + 24, a.user_data_64, "user_data_64");
    packer.u32(o + 26, a.user_data_32, "user_data_32");
    packer.u32(o + 27, a.reserved, "reserved");
    packer.u32(o + 28, a.ledger, "ledger");
    const code = u16(a.code, "code");
    const flags = u16(a.flags, "flags");
    packer.codeFlags(o + 29, code, flags);
    packer.u64(o + 30, a.timestamp, "timestamp");
    if ((flags & ACCOUNT_FLAG.imported) !== 0) imported = true;
  }
  if (imported) refuseImported();
}

/** Packs transfers. The fields are read in TigerBeetle's order: the first bad one is reported. */
export function packTransfers(packer: Packer, batch: readonly Transfer[]): void {
  packer.reserve(batch.length * ROW_WORDS);
  let imported = false;
  for (let i = 0; i < batch.length; i++) {
    const t = objectAt(batch, i) as Transfer;
    const o = packer.length;
    packer.length = o + ROW_WORDS;
    packer.u128(o + T.id, t.id, "id");
    packer.u128(o + T.debitAccountId, t.debit_account_id, "debit_account_id");
    packer.u128(o + T.creditAccountId, t.credit_account_id, "credit_account_id");
    packer.u128(o + T.amount, t.amount, "amount");
    packer.u128(o + T.pendingId, t.pending_id, "pending_id");
    packer.u128(o + T.userData128, t.user_data_128, "user_data_128");
    packer.u64(o + T.userData64, t.user_data_64, "user_data_64");
    packer.u32(o + T.userData32, t.user_data_32, "user_data_32");
    packer.u32(o + T.timeout, t.timeout, "timeout");
    packer.u32(o + T.ledger, t.ledger, "ledger");
    const code = u16(t.code, "code");
    const flags = u16(t.flags, "flags");
    packer.codeFlags(o + T.codeFlags, code, flags);
    packer.u64(o + T.timestamp, t.timestamp, "timestamp");
    if ((flags & TRANSFER_FLAG.imported) !== 0) imported = true;
  }
  if (imported) refuseImported();
}

/** Packs ids to look up. */
export function packIds(packer: Packer, batch: readonly bigint[]): void {
  packer.reserve(batch.length * 4);
  for (let i = 0; i < batch.length; i++) {
    const o = packer.length;
    packer.length = o + 4;
    packer.u128(o, batch[i], "lookup");
  }
}

/** Packs one account filter; answers its limit. */
export function packAccountFilter(packer: Packer, filter: AccountFilter): number {
  const f = objectAt([filter], 0) as AccountFilter;
  packer.reserve(ROW_WORDS);
  const o = packer.length;
  packer.length = o + ROW_WORDS;
  packer.u128(o + FILTER.accountId, f.account_id, "account_id");
  packer.u128(o + FILTER.userData128, f.user_data_128, "user_data_128");
  packer.u64(o + FILTER.userData64, f.user_data_64, "user_data_64");
  packer.u32(o + FILTER.userData32, f.user_data_32, "user_data_32");
  packer.u16(o + FILTER.code, f.code, "code");
  return packRange(packer, o, f);
}

/** Packs one query filter; answers its limit. */
export function packQueryFilter(packer: Packer, filter: QueryFilter): number {
  const f = objectAt([filter], 0) as QueryFilter;
  packer.reserve(ROW_WORDS);
  const o = packer.length;
  packer.length = o + ROW_WORDS;
  packer.u128(o + FILTER.userData128, f.user_data_128, "user_data_128");
  packer.u64(o + FILTER.userData64, f.user_data_64, "user_data_64");
  packer.u32(o + FILTER.userData32, f.user_data_32, "user_data_32");
  packer.u32(o + FILTER.ledger, f.ledger, "ledger");
  packer.u16(o + FILTER.code, f.code, "code");
  return packRange(packer, o, f);
}

function packRange(packer: Packer, o: number, f: AccountFilter | QueryFilter): number {
  packer.u64(o + FILTER.timestampMin, f.timestamp_min, "timestamp_min");
  packer.u64(o + FILTER.timestampMax, f.timestamp_max, "timestamp_max");
  packer.u32(o + FILTER.limit, f.limit, "limit");
  packer.u32(o + FILTER.flags, f.flags, "flags");
  return u32(f.limit, "limit");
}

function objectAt(batch: readonly unknown[], index: number): unknown {
  const value = batch[index];
  if (value === null || value === undefined) {
    throw new TypeError("Cannot convert undefined or null to object");
  }
  return value;
}

/** Reads packed rows back into the objects of tigerbeetle-node. */
class Unpacker {
  readonly #words: Uint32Array;
  readonly #longs: BigUint64Array;

  constructor(buffer: ArrayBuffer) {
    this.#words = new Uint32Array(buffer);
    this.#longs = new BigUint64Array(buffer);
  }

  u128(word: number): bigint {
    const long = word >>> 1;
    const high = this.#longs[long + 1] as bigint;
    const low = this.#longs[long] as bigint;
    return high === 0n ? low : (high << 64n) | low;
  }

  u64(word: number): bigint {
    return this.#longs[word >>> 1] as bigint;
  }

  u32(word: number): number {
    return this.#words[word] as number;
  }
}

/** Reads results `first` to `first + count` of a create request, fields in the client's order. */
export function unpackResults<R extends CreateAccountResult | CreateTransferResult>(
  buffer: ArrayBuffer,
  first: number,
  count: number,
): R[] {
  const unpacker = new Unpacker(buffer);
  const results: R[] = [];
  for (let i = first; i < first + count; i++) {
    const o = i * RESULT_WORDS;
    const result = { timestamp: unpacker.u64(o), status: unpacker.u32(o + 2), reserved: 0 };
    results.push(result as unknown as R);
  }
  return results;
}

/** Reads accounts. */
export function unpackAccounts(buffer: ArrayBuffer, first: number, count: number): Account[] {
  const unpacker = new Unpacker(buffer);
  const accounts: Account[] = [];
  for (let i = first; i < first + count; i++) {
    const o = i * ROW_WORDS;
    const codeFlags = unpacker.u32(o + 29);
    accounts.push({
      id: unpacker.u128(o),
      debits_pending: unpacker.u128(o + 4),
      debits_posted: unpacker.u128(o + 8),
      credits_pending: unpacker.u128(o + 12),
      credits_posted: unpacker.u128(o + 16),
      user_data_128: unpacker.u128(o + 20),
      user_data_64: unpacker.u64(o + 24),
      user_data_32: unpacker.u32(o + 26),
      reserved: unpacker.u32(o + 27),
      ledger: unpacker.u32(o + 28),
      code: codeFlags & 0xffff,
      flags: codeFlags >>> 16,
      timestamp: unpacker.u64(o + 30),
    });
  }
  return accounts;
}

/** Reads transfers. */
export function unpackTransfers(buffer: ArrayBuffer, first: number, count: number): Transfer[] {
  const unpacker = new Unpacker(buffer);
  const transfers: Transfer[] = [];
  for (let i = first; i < first + count; i++) {
    const o = i * ROW_WORDS;
    const codeFlags = unpacker.u32(o + T.codeFlags);
    transfers.push({
      id: unpacker.u128(o + T.id),
      debit_account_id: unpacker.u128(o + T.debitAccountId),
      credit_account_id: unpacker.u128(o + T.creditAccountId),
      amount: unpacker.u128(o + T.amount),
      pending_id: unpacker.u128(o + T.pendingId),
      user_data_128: unpacker.u128(o + T.userData128),
      user_data_64: unpacker.u64(o + T.userData64),
      user_data_32: unpacker.u32(o + T.userData32),
      timeout: unpacker.u32(o + T.timeout),
      ledger: unpacker.u32(o + T.ledger),
      code: codeFlags & 0xffff,
      flags: codeFlags >>> 16,
      timestamp: unpacker.u64(o + T.timestamp),
    });
  }
  return transfers;
}

/** Reads account balances. */
export function unpackBalances(
  buffer: ArrayBuffer,
  first: number,
  count: number,
): AccountBalance[] {
  const unpacker = new Unpacker(buffer);
  const balances: AccountBalance[] = [];
  for (let i = first; i < first + count; i++) {
    const o = i * ROW_WORDS;
    balances.push({
      debits_pending: unpacker.u128(o),
      debits_posted: unpacker.u128(o + 4),
      credits_pending: unpacker.u128(o + 8),
      credits_posted: unpacker.u128(o + 12),
      timestamp: unpacker.u64(o + BALANCE_TIMESTAMP),
    });
  }
  return balances;
}
