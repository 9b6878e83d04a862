import { accessSync, constants, existsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { EmbeddedLedgerError, typedError } from "../errors.ts";
import { TRANSFER_COLUMNS } from "./transfer-columns.ts";

/** Version of the storage layout. A file with a larger one is left alone. */
export const SCHEMA_VERSION = 1;

/** "SOVR" in ASCII: marks a SQLite file as one of this engine. */
const APPLICATION_ID = 0x534f_5652;

/**
 * How long a process waits for another one's write transaction. The longest one, 8189 transfers
 * into a cold cache, takes well under a second.
 */
export const BUSY_TIMEOUT_MS = 10_000;

/** Holds the pages that a writer of many accounts touches again and again. */
const CACHE_MB = 64;

const ZERO_16 = `x'${"00".repeat(16)}'`;
const ZERO_8 = `x'${"00".repeat(8)}'`;
const ZERO_4 = "x'00000000'";

/** The columns that queries filter accounts by, cut out of the packed row. Zero is "no value". */
const FILTER_COLUMNS = `
  id BLOB AS (substr(row, 1, 16)),
  user_data_128 BLOB AS (nullif(substr(row, 81, 16), ${ZERO_16})),
  user_data_64 BLOB AS (nullif(substr(row, 97, 8), ${ZERO_8})),
  user_data_32 BLOB AS (nullif(substr(row, 105, 4), ${ZERO_4})),
  ledger BLOB AS (substr(row, 113, 4)),
  code BLOB AS (substr(row, 117, 2))`;

const TRANSFER_INDEXES = TRANSFER_COLUMNS.map(
  ({ name }) => `
CREATE TABLE transfers_by_${name} (
  epoch INTEGER NOT NULL,
  key BLOB NOT NULL,
  timestamp INTEGER NOT NULL,
  PRIMARY KEY (epoch, key, timestamp)
) STRICT, WITHOUT ROWID;
INSERT INTO index_progress (name, indexed_to) VALUES ('${name}', 0);`,
).join("");

const SCHEMA = `
CREATE TABLE meta (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  cluster_id BLOB NOT NULL,
  last_timestamp INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  epoch_events INTEGER NOT NULL
) STRICT;

CREATE TABLE epochs (
  epoch INTEGER PRIMARY KEY,
  last_timestamp INTEGER NOT NULL,
  filter BLOB NOT NULL
) STRICT;

CREATE TABLE accounts (
  timestamp INTEGER PRIMARY KEY,
  row BLOB NOT NULL,${FILTER_COLUMNS}
) STRICT;
CREATE UNIQUE INDEX accounts_id ON accounts (id);
CREATE INDEX accounts_user_data_128 ON accounts (user_data_128) WHERE user_data_128 IS NOT NULL;
CREATE INDEX accounts_user_data_64 ON accounts (user_data_64) WHERE user_data_64 IS NOT NULL;
CREATE INDEX accounts_user_data_32 ON accounts (user_data_32) WHERE user_data_32 IS NOT NULL;
CREATE INDEX accounts_ledger ON accounts (ledger);
CREATE INDEX accounts_code ON accounts (code);

CREATE TABLE account_states (
  timestamp INTEGER PRIMARY KEY,
  state BLOB NOT NULL
) STRICT;

CREATE TABLE transfers (
  timestamp INTEGER PRIMARY KEY,
  epoch INTEGER NOT NULL,
  row BLOB NOT NULL,
  debit_balances BLOB,
  credit_balances BLOB
) STRICT;

CREATE TABLE index_progress (
  name TEXT PRIMARY KEY,
  indexed_to INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
${TRANSFER_INDEXES}

CREATE TABLE pendings (
  timestamp INTEGER PRIMARY KEY,
  status INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX pendings_expiry ON pendings (expires_at, timestamp)
  WHERE status = 1 AND expires_at > 0;

CREATE TABLE failed_transfers (
  timestamp INTEGER PRIMARY KEY,
  epoch INTEGER NOT NULL,
  id BLOB NOT NULL
) STRICT;
CREATE INDEX failed_transfers_id ON failed_transfers (epoch, id);
`;

/** A u128 as the 16 bytes in which it is stored. */
export function clusterIdBytes(clusterId: bigint): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt.asUintN(64, clusterId), true);
  view.setBigUint64(8, clusterId >> 64n, true);
  return bytes;
}

/**
 * Opens the file, creates its schema if it is new, and refuses what this engine must not touch:
 * another cluster's file, a newer schema, another program's database, a file it cannot write.
 */
export function openDatabase(path: string, clusterId: bigint, cacheMb = CACHE_MB): DatabaseSync {
  let db: DatabaseSync;
  try {
    db = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS, enableForeignKeyConstraints: false });
  } catch (error) {
    throw openError(error, path);
  }
  try {
    configure(db, path, cacheMb);
    ensureSchema(db, path, clusterId);
    return db;
  } catch (error) {
    db.close();
    throw openError(error, path);
  }
}

/** Throws ERR_EMBEDDED_MISSING if there is no file, or one of no bytes, of which SQLite would make a new ledger. */
export function requireFile(path: string): void {
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > 0) return;
  throw new EmbeddedLedgerError("ERR_EMBEDDED_MISSING", `There is no embedded ledger at ${path}`);
}

/** SQLite cannot say why it cannot open a file; that it must not be written is worth telling. */
function openError(error: unknown, path: string): unknown {
  const typed = typedError(error, path);
  if (!(typed instanceof EmbeddedLedgerError) || typed.code !== "ERR_EMBEDDED_CANNOT_OPEN") {
    return typed;
  }
  try {
    // The folder, too: the log is created beside the file.
    if (existsSync(path)) accessSync(path, constants.W_OK);
    accessSync(dirname(path), constants.W_OK);
    return typed;
  } catch (cause) {
    if (!existsSync(path)) return typed;
    const message = `${typed.message}: the file or its folder cannot be written`;
    return new EmbeddedLedgerError("ERR_EMBEDDED_READ_ONLY", message, { cause });
  }
}

function configure(db: DatabaseSync, path: string, cacheMb: number): void {
  // The order matters: WAL must be on before `synchronous` means what the engine relies on, a
  // sync of the log at every commit. Checkpoints are made by the engine between transactions.
  const mode = db.prepare("PRAGMA journal_mode = WAL").get()?.["journal_mode"];
  if (mode !== "wal") {
    throw new EmbeddedLedgerError(
      "ERR_EMBEDDED_CANNOT_OPEN",
      `${path} does not take a write-ahead log (journal mode ${mode}): use a file on a local disk`,
    );
  }
  db.exec(`
    PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = 0;
    PRAGMA journal_size_limit = 67108864;
    PRAGMA cache_size = -${cacheMb * 1024};
    PRAGMA temp_store = MEMORY;
    PRAGMA trusted_schema = OFF;
  `);
}

function ensureSchema(db: DatabaseSync, path: string, clusterId: bigint): void {
  // Inside a write transaction, so that of two processes that start at once only one creates the
  // schema, and so that a file that cannot be written shows itself now and not at the first post.
  db.exec("BEGIN IMMEDIATE");
  try {
    const version = pragmaNumber(db, "user_version");
    const application = pragmaNumber(db, "application_id");
    if (version === 0 && application === 0 && isEmpty(db)) {
      createSchema(db, clusterId);
    } else {
      checkIdentity(path, application, version);
      checkCluster(db, path, clusterId);
    }
    db.exec("COMMIT");
  } catch (error) {
    if (db.isTransaction) db.exec("ROLLBACK");
    throw error;
  }
}

function createSchema(db: DatabaseSync, clusterId: bigint): void {
  db.exec(SCHEMA);
  db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${SCHEMA_VERSION};`);
  db.prepare(
    "INSERT INTO meta (only, cluster_id, last_timestamp, epoch, epoch_events) VALUES (1, ?, 0, 0, 0)",
  ).run(clusterIdBytes(clusterId));
}

function checkIdentity(path: string, application: number, version: number): void {
  if (application !== APPLICATION_ID) {
    throw new EmbeddedLedgerError(
      "ERR_EMBEDDED_CORRUPT",
      `${path} is a SQLite file, but not one of the embedded ledger; it was left unchanged`,
    );
  }
  if (version > SCHEMA_VERSION) {
    throw new EmbeddedLedgerError(
      "ERR_EMBEDDED_SCHEMA_TOO_NEW",
      `${path} has schema version ${version}, this engine knows ${SCHEMA_VERSION}: use a newer engine`,
    );
  }
}

function checkCluster(db: DatabaseSync, path: string, clusterId: bigint): void {
  const row = db.prepare("SELECT hex(cluster_id) AS id FROM meta").get();
  const stored = row?.["id"];
  if (typeof stored !== "string" || stored.length !== 32) {
    throw new EmbeddedLedgerError("ERR_EMBEDDED_CORRUPT", `${path} has lost its cluster id`);
  }
  if (stored !== Buffer.from(clusterIdBytes(clusterId)).toString("hex").toUpperCase()) {
    const littleEndian = Buffer.from(stored, "hex").reverse().toString("hex");
    throw new EmbeddedLedgerError(
      "ERR_EMBEDDED_CLUSTER_MISMATCH",
      `${path} belongs to cluster ${BigInt(`0x${littleEndian}`)}, not to ${clusterId}`,
    );
  }
}

function pragmaNumber(db: DatabaseSync, name: string): number {
  return Number(db.prepare(`PRAGMA ${name}`).get()?.[name] ?? 0);
}

function isEmpty(db: DatabaseSync): boolean {
  return db.prepare("SELECT 1 FROM sqlite_schema LIMIT 1").get() === undefined;
}

/** Runs SQLite's own check; throws if the file is damaged. */
export function checkIntegrity(db: DatabaseSync, path: string, depth: "quick" | "full"): void {
  const pragma = depth === "full" ? "integrity_check(1)" : "quick_check(1)";
  let finding: unknown;
  try {
    finding = Object.values(db.prepare(`PRAGMA ${pragma}`).get() ?? {})[0];
  } catch (error) {
    throw typedError(error, path);
  }
  if (finding !== "ok") {
    throw new EmbeddedLedgerError("ERR_EMBEDDED_CORRUPT", `${path} is damaged: ${finding}`);
  }
}
