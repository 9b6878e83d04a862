import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { Pool, PoolClient } from "pg";
import { DomainError } from "#common/domain-error.ts";
import { ConfigError } from "#common/process/environment.ts";
import { createPool, withRecords } from "./pool.ts";

/** Any number, the same in every process: two migrations at once take turns on it. */
const migrationLock = 7_107_112;

/** How long a start waits for PostgreSQL, and how often it looks, in milliseconds. */
const startMs = 30_000;
const retryMs = 500;

/**
 * As `migrate`, for the start of a service: as the role that logs in, which owns the tables; and services and PostgreSQL
 * start in any order. Throws ConfigError if PostgreSQL does not answer within half a minute.
 */
export async function migrateAtStart(
  databaseUrl: string,
  owner: string,
  folder: URL,
): Promise<string[]> {
  const pool = createPool({
    databaseUrl,
    applicationName: `sovr-${owner}-migrate`,
    connectionsMax: 1,
  });
  const deadlineMs = Date.now() + startMs;
  try {
    for (;;) {
      try {
        return await withRecords(() => migrate(pool, owner, folder));
      } catch (error) {
        if (!(error instanceof DomainError)) throw error;
        if (Date.now() >= deadlineMs) {
          const cause = error.cause instanceof Error ? error.cause.message : error.message;
          throw new ConfigError("DATABASE_URL", "(hidden)", `PostgreSQL does not answer: ${cause}`);
        }
      }
      await sleep(retryMs);
    }
  } finally {
    await pool.end();
  }
}

/**
 * Applies the SQL files of a folder that were not applied yet, in the order of their names, each in a transaction
 * of its own. A file that changed after it was applied stops the start: history is not rewritten.
 * `owner` keeps the files of two services apart. Returns the names applied.
 */
export async function migrate(pool: Pool, owner: string, folder: URL): Promise<string[]> {
  const files = (await readdir(folder)).filter((name) => name.endsWith(".sql")).sort();
  const client = await pool.connect();
  try {
    await client.query("select pg_advisory_lock($1)", [migrationLock]);
    await client.query(`create table if not exists schema_migration (
      owner text not null,
      name text not null,
      sha256 bytea not null,
      apply_time timestamptz not null default now(),
      primary key (owner, name))`);
    const applied: string[] = [];
    for (const name of files) {
      const sql = await readFile(new URL(name, folder), "utf8");
      if (await applyOnce(client, owner, name, sql)) applied.push(name);
    }
    return applied;
  } finally {
    // The lock belongs to the session; a client that cannot unlock is not given back to the pool.
    const unlocked = await client.query("select pg_advisory_unlock($1)", [migrationLock]).then(
      () => true,
      () => false,
    );
    client.release(!unlocked);
  }
}

async function applyOnce(
  client: PoolClient,
  owner: string,
  name: string,
  sql: string,
): Promise<boolean> {
  const sha256 = createHash("sha256").update(sql).digest();
  const known = await client.query<{ sha256: Buffer }>(
    "select sha256 from schema_migration where owner = $1 and name = $2",
    [owner, name],
  );
  const [row] = known.rows;
  if (row !== undefined) {
    if (row.sha256.equals(sha256)) return false;
    throw new Error(`migration ${owner}/${name} was changed after it was applied`);
  }
  await client.query("begin");
  try {
    await client.query(sql);
    await client.query("insert into schema_migration (owner, name, sha256) values ($1, $2, $3)", [
      owner,
      name,
      sha256,
    ]);
    await client.query("commit");
  } catch (error) {
    await client.query("rollback");
    throw error;
  }
  return true;
}
