import type { DatabaseSync, StatementSync } from "node:sqlite";
import { ROW_BYTES } from "../rows/words.ts";
import { BulkInsert } from "./bulk-insert.ts";
import { columnSql, TRANSFER_COLUMNS } from "./transfer-columns.ts";

/** The single row of the table `meta`. */
export type Meta = { lastTimestamp: bigint; epoch: number; epochEvents: number };

/** The prepared statements of the write path and of lookups by id. */
export type Store = ReturnType<typeof createStore>;

/** Prepares the statements. Columns that hold timestamps are read as bigints. */
export function createStore(db: DatabaseSync) {
  const big = (sql: string): StatementSync => {
    const statement = db.prepare(sql);
    statement.setReadBigInts(true);
    return statement;
  };
  const insertTransfers = new BulkInsert(
    db,
    "INSERT INTO transfers (timestamp, epoch, row, debit_balances, credit_balances)",
    5,
  );
  const insertAccount = db.prepare("INSERT INTO accounts (timestamp, row) VALUES (?, ?)");
  // Replacing a row by its key needs no look at the old one, unlike an update.
  const writeStates = new BulkInsert(
    db,
    "INSERT OR REPLACE INTO account_states (timestamp, state)",
    2,
  );
  const insertPending = db.prepare(
    "INSERT INTO pendings (timestamp, status, expires_at) VALUES (?, ?, ?)",
  );
  const updatePending = db.prepare("UPDATE pendings SET status = ? WHERE timestamp = ?");
  const insertFailed = db.prepare(
    "INSERT INTO failed_transfers (timestamp, epoch, id) VALUES (?, ?, ?)",
  );
  return {
    db,
    begin: db.prepare("BEGIN IMMEDIATE"),
    beginRead: db.prepare("BEGIN"),
    commit: db.prepare("COMMIT"),
    dataVersion: db.prepare("PRAGMA data_version"),
    readMeta: big("SELECT last_timestamp, epoch, epoch_events FROM meta"),
    writeMeta: db.prepare("UPDATE meta SET last_timestamp = ?, epoch = ?, epoch_events = ?"),
    sealedEpochs: big(
      "SELECT epoch, last_timestamp, filter FROM epochs WHERE epoch >= ? ORDER BY epoch",
    ),
    sealEpoch: db.prepare("INSERT INTO epochs (epoch, last_timestamp, filter) VALUES (?, ?, ?)"),
    transfersAfter: big(
      "SELECT timestamp, epoch, row FROM transfers WHERE timestamp > ? ORDER BY timestamp",
    ),
    readProgress: big("SELECT name, indexed_to FROM index_progress"),
    writeProgress: db.prepare("UPDATE index_progress SET indexed_to = ? WHERE name = ?"),
    /** One per column, in their order: brings the transfers of a range into the index. */
    indexRange: TRANSFER_COLUMNS.map((column) =>
      db.prepare(`INSERT INTO transfers_by_${column.name} (epoch, key, timestamp)
        SELECT epoch, ${columnSql(column)}, timestamp FROM transfers
        WHERE timestamp > ? AND timestamp <= ?
        ${column.zeroIsNone ? `AND ${columnSql(column)} <> zeroblob(${column.bytes})` : ""}
        ${column.manyValues ? "ORDER BY 1, 2, 3" : ""}`),
    ),
    failedAfter: big(
      "SELECT timestamp, id, epoch FROM failed_transfers WHERE timestamp > ? ORDER BY timestamp",
    ),
    accountById: db.prepare(
      "SELECT row, state FROM accounts JOIN account_states USING (timestamp) WHERE id = ?",
    ),
    transferById: db.prepare(
      `SELECT row FROM transfers_by_id CROSS JOIN transfers USING (timestamp)
       WHERE transfers_by_id.epoch = ? AND key = ?`,
    ),
    transferByTimestamp: db.prepare("SELECT row FROM transfers WHERE timestamp = ?"),
    balancesByTimestamp: db.prepare(
      "SELECT debit_balances, credit_balances FROM transfers WHERE timestamp = ?",
    ),
    failedById: db.prepare("SELECT 1 FROM failed_transfers WHERE epoch = ? AND id = ?"),
    pendingByTimestamp: big("SELECT status, expires_at FROM pendings WHERE timestamp = ?"),
    nextExpiry: big(
      `SELECT expires_at FROM pendings INDEXED BY pendings_expiry
       WHERE status = 1 AND expires_at > 0 ORDER BY expires_at LIMIT 1`,
    ),
    dueExpiries: big(
      `SELECT timestamp FROM pendings INDEXED BY pendings_expiry
       WHERE status = 1 AND expires_at > 0 AND expires_at <= ? ORDER BY expires_at, timestamp`,
    ),
    insertTransfers,
    insertAccount,
    writeStates,
    insertPending,
    updatePending,
    insertFailed,
  };
}

/** A BLOB column; anything else means that the file was tampered with. */
export function blob(value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new Error("a column that must be a BLOB is not one");
  return value;
}

/** A BLOB column that must hold a packed row. */
export function rowBlob(value: unknown): Uint8Array {
  const bytes = blob(value);
  if (bytes.byteLength !== ROW_BYTES) throw new Error("a stored row has a wrong length");
  return bytes;
}

/** An INTEGER column of a statement that reads bigints. */
export function bigint(value: unknown): bigint {
  if (typeof value !== "bigint") throw new Error("a column that must be an INTEGER is not one");
  return value;
}
