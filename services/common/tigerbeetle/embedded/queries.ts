import type { SQLInputValue, StatementSync } from "node:sqlite";
import { applyState, type Engine } from "./engine.ts";
import { ACCOUNT_FLAG, FILTER_FLAG } from "./status.ts";
import { blob, rowBlob } from "./store.ts";
import {
  at,
  BALANCE_TIMESTAMP,
  BALANCES_BYTES,
  bytesOf,
  equal128,
  FILTER,
  isMax128,
  isZero64,
  isZero128,
  loadBytes,
  ROW_WORDS,
  read64,
  TRANSFER as T,
} from "./words.ts";

const TIMESTAMP_LIMIT = 1n << 63n;

type Condition = { readonly column: string; readonly value: Uint8Array };

/** Rows of 32 words that grow as they come. */
export class RowSink {
  words = new Uint32Array(64 * ROW_WORDS);
  count = 0;

  /** Room for one more row; answers its word offset. */
  next(): number {
    const o = this.count++ * ROW_WORDS;
    if (o >= this.words.length) {
      const larger = new Uint32Array(this.words.length * 2);
      larger.set(this.words);
      this.words = larger;
    }
    return o;
  }
}

/** Answers lookups and queries inside a read transaction of the engine. */
export class Queries {
  readonly #engine: Engine;
  readonly #statements = new Map<string, StatementSync>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Appends the accounts that exist, in the order of the ids. */
  lookupAccounts(ids: Uint32Array, first: number, count: number, sink: RowSink): void {
    for (let i = first; i < first + count; i++) {
      const slot = this.#engine.findAccount(ids, i * 4);
      if (slot < 0) continue;
      const o = sink.next();
      const from = slot * ROW_WORDS;
      sink.words.set(this.#engine.accounts.words.subarray(from, from + ROW_WORDS), o);
    }
  }

  /** Appends the transfers that exist, in the order of the ids. */
  lookupTransfers(ids: Uint32Array, first: number, count: number, sink: RowSink): void {
    for (let i = first; i < first + count; i++) {
      const found = this.#engine.findTransfer(ids, i * 4);
      if (found === undefined || found === "failed") continue;
      const o = sink.next();
      sink.words.set(found.words.subarray(found.at, found.at + ROW_WORDS), o);
    }
  }

  /** Appends the transfers of an account. */
  accountTransfers(filter: Uint32Array, f: number, sink: RowSink): void {
    this.#accountRows(filter, f, "row", (row) => {
      const o = sink.next();
      loadBytes(sink.words, o, rowBlob(row[0]));
    });
  }

  /** Appends an account's balances after each of its transfers, if it keeps history. */
  accountBalances(filter: Uint32Array, f: number, sink: RowSink): void {
    const slot = this.#engine.findAccount(filter, f + FILTER.accountId);
    if (slot < 0 || (this.#engine.accounts.flags(slot) & ACCOUNT_FLAG.history) === 0) return;
    const transfer = new Uint32Array(ROW_WORDS);
    this.#accountRows(filter, f, "row, debit_balances, credit_balances", (row) => {
      loadBytes(transfer, 0, rowBlob(row[0]));
      const isDebit = equal128(transfer, T.debitAccountId, filter, f + FILTER.accountId);
      const balances = blob(isDebit ? row[1] : row[2]);
      if (balances.byteLength !== BALANCES_BYTES) throw new Error("stored balances are damaged");
      const o = sink.next();
      loadBytes(sink.words, o, balances);
      sink.words[o + BALANCE_TIMESTAMP] = at(transfer, T.timestamp);
      sink.words[o + BALANCE_TIMESTAMP + 1] = at(transfer, T.timestamp + 1);
    });
  }

  /** Appends the accounts that a query filter selects. */
  queryAccounts(filter: Uint32Array, f: number, sink: RowSink): void {
    const range = queryRange(filter, f);
    if (!range) return;
    const conditions = filterConditions(filter, f, true);
    const index = conditions[0] ? `INDEXED BY accounts_${conditions[0].column}` : "";
    const sql = `SELECT row, state FROM accounts ${index} JOIN account_states USING (timestamp)
      WHERE ${where(conditions)} accounts.timestamp BETWEEN ? AND ?
      ORDER BY accounts.timestamp ${direction(range)} LIMIT ?`;
    const values = [...conditions.map((c) => c.value), range.min, range.max, range.limit];
    for (const row of this.#rows(sql, values)) {
      const o = sink.next();
      loadBytes(sink.words, o, rowBlob(row[0]));
      applyState(sink.words, o, blob(row[1]));
    }
  }

  /** Appends the transfers that a query filter selects. */
  queryTransfers(filter: Uint32Array, f: number, sink: RowSink): void {
    const range = queryRange(filter, f);
    if (!range) return;
    const conditions = filterConditions(filter, f, true);
    const take = (row: unknown[]): void => {
      const o = sink.next();
      loadBytes(sink.words, o, rowBlob(row[0]));
    };
    const [first] = conditions;
    if (!first) {
      const sql = `SELECT row FROM transfers WHERE timestamp BETWEEN ? AND ?
        ORDER BY timestamp ${direction(range)} LIMIT ?`;
      for (const row of this.#rows(sql, [range.min, range.max, range.limit])) take(row);
      return;
    }
    const sql = `${select("row", first.column, conditions)}
      ORDER BY timestamp ${direction(range)} LIMIT ?`;
    const values = conditions.map((c) => c.value);
    this.#perEpoch(
      range,
      (epoch, limit) => this.#rows(sql, [epoch, ...values, range.min, range.max, limit]),
      take,
    );
  }

  #accountRows(
    filter: Uint32Array,
    f: number,
    columns: string,
    take: (row: unknown[]) => void,
  ): void {
    const flags = at(filter, f + FILTER.flags);
    const accountId = f + FILTER.accountId;
    if (isZero128(filter, accountId) || isMax128(filter, accountId)) return;
    if ((flags & ~FILTER_FLAG.accountAll) !== 0) return;
    const range = readRange(filter, f, (flags & FILTER_FLAG.accountReversed) !== 0);
    if (!range) return;
    const value = bytesOf(filter, accountId, 4).slice();
    const rest = filterConditions(filter, f, false);
    const sides: string[] = [];
    if ((flags & FILTER_FLAG.accountDebits) !== 0) sides.push("debit_account_id");
    if ((flags & FILTER_FLAG.accountCredits) !== 0) sides.push("credit_account_id");
    if (sides.length === 0) return;
    const selects = sides.map((column) =>
      select(`timestamp, ${columns}`, column, [{ column, value }, ...rest]),
    );
    const sql = `SELECT ${columns} FROM (${selects.join(" UNION ALL ")})
      ORDER BY timestamp ${direction(range)} LIMIT ?`;
    const side = [value, ...rest.map((c) => c.value), range.min, range.max];
    this.#perEpoch(
      range,
      (epoch, limit) => this.#rows(sql, [...sides.flatMap(() => [epoch, ...side]), limit]),
      take,
    );
  }

  /** Runs a query epoch by epoch, in the direction of the range, until the limit is reached. */
  #perEpoch(
    range: Range,
    run: (epoch: number, limit: number) => Iterable<unknown[]>,
    take: (row: unknown[]) => void,
  ): void {
    const ends = this.#engine.epochEnds;
    let left = range.limit;
    for (let i = 0; i <= ends.length && left > 0; i++) {
      const epoch = range.reversed ? ends.length - i : i;
      const before = epoch === 0 ? 0n : (ends[epoch - 1] as bigint);
      const end = ends[epoch];
      if (range.max <= before || (end !== undefined && range.min > end)) continue;
      for (const row of run(epoch, left)) {
        take(row);
        left--;
      }
    }
  }

  #rows(sql: string, values: SQLInputValue[]): unknown[][] {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.#engine.store.db.prepare(sql);
      statement.setReturnArrays(true);
      this.#statements.set(sql, statement);
    }
    return statement.all(...values) as unknown as unknown[][];
  }
}

type Range = {
  readonly min: bigint;
  readonly max: bigint;
  readonly limit: number;
  readonly reversed: boolean;
};

function queryRange(filter: Uint32Array, f: number): Range | undefined {
  const flags = at(filter, f + FILTER.flags);
  if ((flags & ~FILTER_FLAG.queryAll) !== 0) return undefined;
  return readRange(filter, f, (flags & FILTER_FLAG.queryReversed) !== 0);
}

/** The timestamps and limit of a filter; undefined if TigerBeetle calls the filter invalid. */
function readRange(filter: Uint32Array, f: number, reversed: boolean): Range | undefined {
  const min = read64(filter, f + FILTER.timestampMin);
  const max = read64(filter, f + FILTER.timestampMax);
  const limit = at(filter, f + FILTER.limit);
  if (min >= TIMESTAMP_LIMIT || max >= TIMESTAMP_LIMIT) return undefined;
  if (max !== 0n && min > max) return undefined;
  if (limit === 0) return undefined;
  return { min, max: max === 0n ? TIMESTAMP_LIMIT - 1n : max, limit, reversed };
}

/** The filter's conditions, the one that selects least first. */
function filterConditions(filter: Uint32Array, f: number, withLedger: boolean): Condition[] {
  const conditions: Condition[] = [];
  const add = (column: string, offset: number, bytes: number): void => {
    conditions.push({ column, value: bytesOf(filter, f + offset, 4).slice(0, bytes) });
  };
  if (!isZero128(filter, f + FILTER.userData128)) add("user_data_128", FILTER.userData128, 16);
  if (!isZero64(filter, f + FILTER.userData64)) add("user_data_64", FILTER.userData64, 8);
  if (at(filter, f + FILTER.userData32) !== 0) add("user_data_32", FILTER.userData32, 4);
  if (at(filter, f + FILTER.code) !== 0) add("code", FILTER.code, 2);
  if (withLedger && at(filter, f + FILTER.ledger) !== 0) add("ledger", FILTER.ledger, 4);
  return conditions;
}

function select(columns: string, index: string, conditions: readonly Condition[]): string {
  return `SELECT ${columns} FROM transfers INDEXED BY transfers_${index}
    WHERE epoch = ? AND ${where(conditions)} timestamp BETWEEN ? AND ?`;
}

function where(conditions: readonly Condition[]): string {
  return conditions.map((c) => `${c.column} = ? AND `).join("");
}

function direction(range: Range): string {
  return range.reversed ? "DESC" : "ASC";
}
