import pg from "pg";
import { DomainError } from "#common/domain-error.ts";

export interface PoolOptions {
  /** postgres://user:password@host:port/database, with ?sslmode=verify-full&sslrootcert=ca.crt for TLS. */
  readonly databaseUrl: string;
  /** The most connections at once. */
  readonly connectionsMax?: number;
  /** How long a statement may run, in milliseconds. */
  readonly statementTimeoutMs?: number;
  readonly applicationName: string;
  /** The role as which every connection works; by default the one that logs in. */
  readonly role?: string;
}

export type { Pool, PoolClient } from "pg";

/** How long to wait for a connection, in milliseconds. */
const connectTimeoutMs = 3_000;

/** Opens a pool of connections. Nothing connects before the first query. */
export function createPool(options: PoolOptions): pg.Pool {
  const statementTimeoutMs = options.statementTimeoutMs ?? 10_000;
  const pool = new pg.Pool({
    connectionString: options.databaseUrl,
    max: options.connectionsMax ?? 8,
    application_name: options.applicationName,
    connectionTimeoutMillis: connectTimeoutMs,
    statement_timeout: statementTimeoutMs,
    // The server's timeout cannot fire when the server is gone; the client's must.
    query_timeout: statementTimeoutMs + 1_000,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
    ...(options.role === undefined ? {} : { options: `-c role=${options.role}` }),
  });
  // An idle connection that breaks (a restart of PostgreSQL) is reported here and nowhere else; the pool drops
  // it and the next query opens another. Without a listener it would end the process.
  pool.on("error", () => {});
  return pool;
}

/** SQLSTATE classes that say the server is away, starting, stopping, or out of connections, space or a working disk. */
const unavailable = /^(08|53|57P|55P03|25006|58030)/;

/**
 * Runs work against PostgreSQL and turns "cannot be reached" into RECORDS_UNAVAILABLE; other errors are faults
 * and pass.
 */
export async function withRecords<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isUnavailable(error)) throw error;
    throw new DomainError("RECORDS_UNAVAILABLE", "the records cannot be reached", {
      cause: error,
      retryAfterMs: 500,
    });
  }
}

/** Whether an error says that a table does not exist: its owner makes it at its own first start. */
export function isMissingTable(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === "42P01";
}

/** Whether an error says that a role may not do what it was to do. */
export function isForbidden(error: unknown): error is pg.DatabaseError {
  return error instanceof pg.DatabaseError && error.code === "42501";
}

/** Asks PostgreSQL for a sign of life. Throws RECORDS_UNAVAILABLE. */
export async function probePostgres(pool: pg.Pool): Promise<void> {
  await withRecords(() => pool.query("select 1"));
}

function isUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = "code" in error ? String(error.code) : "";
  if (error instanceof pg.DatabaseError) return unavailable.test(code) || code === "57014";
  // Everything else that `pg` throws while talking is about the connection: sockets, timeouts, a pool that ended.
  return (
    code.startsWith("E") ||
    // A certificate of the server's that is not believed, or none: whoever has put up the server there may mend it.
    /^(UNABLE_|CERT_|SELF_SIGNED|DEPTH_ZERO)/.test(code) ||
    /SSL|timeout|terminated|Connection|not queryable|Cannot use a pool/.test(error.message)
  );
}
