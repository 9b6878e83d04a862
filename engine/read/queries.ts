import type { SQLInputValue, StatementSync } from "node:sqlite";
import type { Engine } from "../engine.ts";
import { ACCOUNT_FLAG } from "../rows/flags.ts";
import {
  at,
  BALANCE_TIMESTAMP,
  bytesOf,
  equal128,
  FILTER,
  loadBytes,
  ROW_BYTES,
  ROW_WORDS,
  TRANSFER as T,
  TIMESTAMP_MAX,
} from "../rows/words.ts";
import { applyState } from "../store/account-state.ts";
import { unpackBalances } from "../store/packed-balances.ts";
import { blob, rowBlob } from "../store/store.ts";
import { columnSql } from "../store/transfer-columns.ts";
import {
  accountQuery,
  type Condition,
  filterConditions,
  queryRange,
  type Range,
  type TransferQuery,
} from "./filter.ts";
import type { RowSink } from "./row-sink.ts";

type TakeRow = (row: Uint8Array, debitBalances?: unknown, creditBalances?: unknown) => void;

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
    this.#engine.catchUp();
    for (let i = first; i < first + count; i++) {
      const found = this.#engine.findTransfer(ids, i * 4);
      if (found === undefined || found === "failed") continue;
      const o = sink.next();
      sink.words.set(found.words.subarray(found.at, found.at + ROW_WORDS), o);
    }
  }

  /** Appends the transfers of an account. */
  accountTransfers(filter: Uint32Array, f: number, sink: RowSink): void {
    const query = accountQuery(filter, f);
    if (query) this.#indexedRows(query, false, (row) => loadRow(sink, row));
  }

  /** Appends an account's balances after each of its transfers, if it keeps history. */
  accountBalances(filter: Uint32Array, f: number, sink: RowSink): void {
    const query = accountQuery(filter, f);
    if (!query) return;
    const slot = this.#engine.findAccount(filter, f + FILTER.accountId);
    if (slot < 0 || (this.#engine.accounts.flags(slot) & ACCOUNT_FLAG.history) === 0) return;
    const transfer = new Uint32Array(ROW_WORDS);
    this.#indexedRows(query, true, (row, debitBalances, creditBalances) => {
      loadBytes(transfer, 0, row);
      const isDebit = equal128(transfer, T.debitAccountId, filter, f + FILTER.accountId);
      const balances = blob(isDebit ? debitBalances : creditBalances);
      const o = sink.next();
      unpackBalances(balances, 0, sink.words, o);
      sink.words[o + BALANCE_TIMESTAMP] = at(transfer, T.timestamp);
      sink.words[o + BALANCE_TIMESTAMP + 1] = at(transfer, T.timestamp + 1);
    });
  }

  /** Appends the accounts that a query filter selects. */
  queryAccounts(filter: Uint32Array, f: number, sink: RowSink): void {
    const range = queryRange(filter, f);
    if (!range) return;
    const conditions = filterConditions(filter, f, true);
    const [first] = conditions;
    const index = first ? `INDEXED BY accounts_${first.column.name}` : "";
    const sql = `SELECT row, state FROM accounts ${index} JOIN account_states USING (timestamp)
      WHERE ${conditions.map((c) => `${c.column.name} = ? AND `).join("")}
        accounts.timestamp BETWEEN ? AND ?
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
    const [first, ...rest] = filterConditions(filter, f, true);
    if (first) {
      this.#indexedRows({ range, sides: [first], rest }, false, (row) => loadRow(sink, row));
      return;
    }
    const sql = `SELECT row FROM transfers WHERE timestamp BETWEEN ? AND ?
      ORDER BY timestamp ${direction(range)} LIMIT ?`;
    for (const row of this.#rows(sql, [range.min, range.max, range.limit])) {
      loadRow(sink, rowBlob(row[0]));
    }
  }

  /** Finds transfers by index and, where the index does not reach yet, in the tail. */
  #indexedRows(query: TransferQuery, withBalances: boolean, take: TakeRow): void {
    this.#engine.catchUp();
    const { range } = query;
    let indexedTo = TIMESTAMP_MAX;
    for (const side of query.sides) {
      const reached = this.#engine.stored.indexedTo(side.column.name);
      if (reached < indexedTo) indexedTo = reached;
    }
    let left = range.limit;
    const taken: TakeRow = (row, debit, credit) => {
      take(row, debit, credit);
      left--;
    };
    if (range.reversed) this.#tailRows(query, indexedTo, withBalances, left, taken);
    const max = range.max < indexedTo ? range.max : indexedTo;
    this.#perEpoch(
      { ...range, max },
      () => left,
      (epoch, limit) => {
        for (const row of this.#epochRows(query, withBalances, epoch, max, limit)) {
          taken(rowBlob(row[1]), row[2], row[3]);
        }
      },
    );
    if (!range.reversed) this.#tailRows(query, indexedTo, withBalances, left, taken);
  }

  #epochRows(
    query: TransferQuery,
    withBalances: boolean,
    epoch: number,
    max: bigint,
    limit: number,
  ): unknown[][] {
    const { range, sides, rest } = query;
    const columns = withBalances ? "row, debit_balances, credit_balances" : "row";
    const conditions = rest.map((c) => ` AND ${columnSql(c.column)} = ?`).join("");
    const selects = sides.map(
      ({ column }) => `SELECT i.timestamp AS at, ${columns}
        FROM transfers_by_${column.name} AS i CROSS JOIN transfers AS t
        ON t.timestamp = i.timestamp
        WHERE i.epoch = ? AND i.key = ? AND i.timestamp BETWEEN ? AND ?${conditions}`,
    );
    // Ordered as a compound, not as a subquery: SQLite then merges the two sides as they come.
    const sql = `${selects.join(" UNION ALL ")} ORDER BY at ${direction(range)} LIMIT ?`;
    const values = rest.map((c) => c.value);
    const bound = sides.flatMap((side) => [epoch, side.value, range.min, max, ...values]);
    return this.#rows(sql, [...bound, limit]);
  }

  #tailRows(
    query: TransferQuery,
    indexedTo: bigint,
    withBalances: boolean,
    limit: number,
    take: TakeRow,
  ): void {
    const { store } = this.#engine;
    const { tail } = this.#engine.stored;
    const { range } = query;
    const from =
      range.min > indexedTo ? tail.firstAfter(range.min - 1n) : tail.firstAfter(indexedTo);
    const end = tail.firstAfter(range.max);
    const bytes = bytesOf(tail.words, 0, tail.count * ROW_WORDS);
    let left = limit;
    for (let i = from; i < end && left > 0; i++) {
      const index = range.reversed ? end - 1 - (i - from) : i;
      const o = index * ROW_BYTES;
      const found =
        query.sides.some((c) => holds(bytes, o, c)) && query.rest.every((c) => holds(bytes, o, c));
      if (!found) continue;
      const stored = withBalances
        ? store.balancesByTimestamp.get(tail.timestamp(index))
        : undefined;
      const row = bytes.subarray(o, o + ROW_BYTES);
      take(row, stored?.["debit_balances"], stored?.["credit_balances"]);
      left--;
    }
  }

  /** Visits the epochs of a range in its direction until nothing is left to find. */
  #perEpoch(range: Range, left: () => number, visit: (epoch: number, limit: number) => void): void {
    const ends = this.#engine.stored.epochEnds;
    for (let i = 0; i <= ends.length && left() > 0; i++) {
      const epoch = range.reversed ? ends.length - i : i;
      const before = epoch === 0 ? 0n : (ends[epoch - 1] as bigint);
      const end = ends[epoch];
      if (range.max <= before || (end !== undefined && range.min > end)) continue;
      visit(epoch, left());
    }
  }

  #rows(sql: string, values: SQLInputValue[]): unknown[][] {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.#engine.store.db.prepare(sql);
      statement.setReturnArrays(true);
      statement.setReadBigInts(true);
      this.#statements.set(sql, statement);
    }
    return statement.all(...values) as unknown as unknown[][];
  }
}

/** Whether the row at byte `o` has a condition's value. */
function holds(bytes: Uint8Array, o: number, { column, value }: Condition): boolean {
  for (let i = 0; i < column.bytes; i++) {
    if (bytes[o + column.offset + i] !== value[i]) return false;
  }
  return true;
}

function direction(range: Range): string {
  return range.reversed ? "DESC" : "ASC";
}

function loadRow(sink: RowSink, row: Uint8Array): void {
  const o = sink.next();
  loadBytes(sink.words, o, row);
}
