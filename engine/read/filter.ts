import { FILTER_FLAG } from "../rows/flags.ts";
import {
  at,
  bytesOf,
  FILTER,
  isMax128,
  isZero64,
  isZero128,
  read64,
  TIMESTAMP_MAX,
} from "../rows/words.ts";
import { columnNamed, type TransferColumn } from "../store/transfer-columns.ts";

/** A column that must have a value. */
export type Condition = { readonly column: TransferColumn; readonly value: Uint8Array };

/** Transfers that fulfil one of `sides` and all of `rest`. */
export type TransferQuery = {
  readonly range: Range;
  readonly sides: readonly Condition[];
  readonly rest: readonly Condition[];
};

export type Range = {
  readonly min: bigint;
  readonly max: bigint;
  readonly limit: number;
  readonly reversed: boolean;
};

/** The range of a query filter; undefined if TigerBeetle calls the filter invalid. */
export function queryRange(filter: Uint32Array, f: number): Range | undefined {
  const flags = at(filter, f + FILTER.flags);
  if ((flags & ~FILTER_FLAG.queryAll) !== 0) return undefined;
  return readRange(filter, f, (flags & FILTER_FLAG.queryReversed) !== 0);
}

/** The timestamps and limit of a filter; undefined if TigerBeetle calls the filter invalid. */
function readRange(filter: Uint32Array, f: number, reversed: boolean): Range | undefined {
  const min = read64(filter, f + FILTER.timestampMin);
  const max = read64(filter, f + FILTER.timestampMax);
  const limit = at(filter, f + FILTER.limit);
  if (min > TIMESTAMP_MAX || max > TIMESTAMP_MAX) return undefined;
  if (max !== 0n && min > max) return undefined;
  if (limit === 0) return undefined;
  return { min, max: max === 0n ? TIMESTAMP_MAX : max, limit, reversed };
}

/** What an account filter asks for; undefined if TigerBeetle calls it invalid. */
export function accountQuery(filter: Uint32Array, f: number): TransferQuery | undefined {
  const flags = at(filter, f + FILTER.flags);
  const accountId = f + FILTER.accountId;
  if (isZero128(filter, accountId) || isMax128(filter, accountId)) return undefined;
  if ((flags & ~FILTER_FLAG.accountAll) !== 0) return undefined;
  const range = readRange(filter, f, (flags & FILTER_FLAG.accountReversed) !== 0);
  if (!range) return undefined;
  const value = bytesOf(filter, accountId, 4).slice();
  const sides: Condition[] = [];
  if ((flags & FILTER_FLAG.accountDebits) !== 0) {
    sides.push({ column: columnNamed("debit_account_id"), value });
  }
  if ((flags & FILTER_FLAG.accountCredits) !== 0) {
    sides.push({ column: columnNamed("credit_account_id"), value });
  }
  if (sides.length === 0) return undefined;
  return { range, sides, rest: filterConditions(filter, f, false) };
}

/** The filter's conditions, the one that selects least first. */
export function filterConditions(filter: Uint32Array, f: number, withLedger: boolean): Condition[] {
  const conditions: Condition[] = [];
  const add = (name: string, offset: number): void => {
    const column = columnNamed(name);
    conditions.push({ column, value: bytesOf(filter, f + offset, 4).slice(0, column.bytes) });
  };
  if (!isZero128(filter, f + FILTER.userData128)) add("user_data_128", FILTER.userData128);
  if (!isZero64(filter, f + FILTER.userData64)) add("user_data_64", FILTER.userData64);
  if (at(filter, f + FILTER.userData32) !== 0) add("user_data_32", FILTER.userData32);
  if (at(filter, f + FILTER.code) !== 0) add("code", FILTER.code);
  if (withLedger && at(filter, f + FILTER.ledger) !== 0) add("ledger", FILTER.ledger);
  return conditions;
}
