import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { DatabaseError, escapeIdentifier, escapeLiteral, type Pool, type PoolClient } from "pg";
import { DomainError } from "#common/domain-error.ts";
import { ConfigError } from "#common/process/environment.ts";
import { createPool, isForbidden, isMissingTable, withRecords } from "./pool.ts";

/** Any number, the same in every process: two migrations at once take turns on it. */
const migrationLock = 7_107_112;

/** How long a start waits for PostgreSQL, and how often it looks, in milliseconds. */
const startMs = 30_000;
const retryMs = 500;

/**
 * How long a migration waits for one lock: whoever wants the table waits behind it meanwhile. Then it steps back and
 * tries again, for so long in all. A statement that has its locks may take its time.
 */
const lockTimeoutMs = 4_000;
const lockPatienceMs = 600_000;
const statementTimeoutMs = 3_600_000;

/**
 * How a file says which is the oldest migration that a program must know to run on what it leaves, by that one's name; `none`
 * or no such line: only programs that know the file itself. It is kept with the migration, for programs that do not have
 * the file.
 */
const compatibleLine = /^-- compatible-from: (\S+)$/m;

/** Applied at every start, after all others: roles and grants do not come with a restored dump. */
const rolesFile = "roles.sql";

/** The roles that grants name, such as in `grant select on evidence to sovr_ledger, sovr_eventstream;`. */
const grantedTo = /\bto (sovr_[a-z]+(?:, sovr_[a-z]+)*);/g;

/** Hears how a migration comes on. */
export type MigrationLog = (details: object, message: string) => void;

/**
 * As `migrate`, for the start of a service: as the role that logs in, which owns the tables, on a connection of its own;
 * and services and PostgreSQL start in any order. A login that may not make tables waits as long until somebody who may
 * has applied them. Throws ConfigError if PostgreSQL does not answer within half a minute, if nobody has migrated, if
 * somebody holds a lock for ten minutes, or if the database is newer than this program.
 */
export async function migrateAtStart(
  databaseUrl: string,
  owner: string,
  folder: URL,
  log: MigrationLog = () => undefined,
): Promise<string[]> {
  const pool = createPool({
    databaseUrl,
    applicationName: `sovr-${owner}-migrate`,
    connectionsMax: 1,
    statementTimeoutMs,
  });
  const beganMs = Date.now();
  try {
    for (;;) {
      try {
        const applied = await withRecords(() => migrate(pool, owner, folder, log));
        if (applied.length > 0) log({ owner, applied }, "migrations were applied");
        return applied;
      } catch (error) {
        if (!(error instanceof DomainError || error instanceof NotMigrated)) throw error;
        const isLocked = isLockTimeout(error.cause);
        const why = error.cause instanceof Error ? error.cause.message : error.message;
        const waitedMs = Date.now() - beganMs;
        if (waitedMs >= (isLocked ? lockPatienceMs : startMs)) {
          throw error instanceof NotMigrated ? error.asConfigError() : gaveUp(isLocked, why);
        }
        log({ owner, waitedMs, why }, "migrations wait and are tried again");
      }
      await sleep(retryMs);
    }
  } finally {
    await pool.end();
  }
}

/** Tables are missing, and this login may not make them: whoever owns them has yet to. */
class NotMigrated extends Error {
  constructor(owner: string, missing: readonly string[]) {
    super(
      `the database lacks ${missing.join(", ")} of ${owner}, and this login may not migrate it: ./mesh migrate does, as the owner`,
    );
  }

  asConfigError(): ConfigError {
    return new ConfigError("DATABASE_URL", "(hidden)", this.message);
  }
}

function isLockTimeout(error: unknown): boolean {
  return error instanceof DatabaseError && error.code === "55P03";
}

function gaveUp(isLocked: boolean, why: string): ConfigError {
  const text = isLocked
    ? `a migration waited ten minutes for a lock that another session holds (see pg_locks): ${why}`
    : `PostgreSQL does not answer: ${why}`;
  return new ConfigError("DATABASE_URL", "(hidden)", text);
}

/**
 * Applies the SQL files of a folder that were not applied yet, in the order of their names, each in a transaction
 * of its own, and then `roles.sql`, every time. A file that changed after it was applied stops the start: history is
 * not rewritten. So does one that was applied and is not here, for a newer version made the tables and what this one would
 * write may not fit; unless it says that it does (`compatibleLine`). `owner` keeps the files of two services apart. Returns
 * the names applied; `log` hears of newer ones, and of what the login may not do. A login that may not make tables changes
 * nothing and is told what is missing. Throws ConfigError, NotMigrated, and a lock timeout when others hold what it needs.
 */
export async function migrate(
  pool: Pool,
  owner: string,
  folder: URL,
  log: MigrationLog = () => undefined,
): Promise<string[]> {
  const all = (await readdir(folder)).filter((name) => name.endsWith(".sql")).sort();
  const files = all.filter((name) => name !== rolesFile);
  const client = await pool.connect();
  try {
    if (!(await mayMigrate(client))) return await requireMigrated(client, owner, files, log);
    await client.query(`set lock_timeout = ${lockTimeoutMs}`);
    await client.query("select pg_advisory_lock($1)", [migrationLock]);
    await client.query(`create table if not exists schema_migration (
      owner text not null,
      name text not null,
      sha256 bytea not null,
      apply_time timestamptz not null default now(),
      compatible_from text,
      primary key (owner, name))`);
    await addCompatibleFrom(client);
    const newer = await refuseNewer(client, owner, files);
    if (newer.length > 0) log({ owner, newer }, "a newer version has migrated the database");
    const applied: string[] = [];
    for (const name of files) {
      const sql = await readFile(new URL(name, folder), "utf8");
      const migration = { owner, name, sql, compatibleFrom: compatibleFrom(name, sql, files) };
      if (await applyOnce(client, migration)) applied.push(name);
    }
    if (all.includes(rolesFile)) {
      const why = await grantRoles(client, await readFile(new URL(rolesFile, folder), "utf8"));
      if (why !== undefined) log({ owner, why }, "roles and grants are left as they are");
    }
    return applied;
  } finally {
    // The lock belongs to the session; a client that cannot unlock is not given back to the pool.
    const unlock = `select pg_advisory_unlock(${migrationLock}); set lock_timeout = default`;
    const unlocked = await client.query(unlock).then(
      () => true,
      () => false,
    );
    client.release(!unlocked);
  }
}

async function mayMigrate(client: PoolClient): Promise<boolean> {
  const { rows } = await client.query<{ may: boolean }>(
    "select has_schema_privilege(current_schema(), 'create') as may",
  );
  return rows[0]?.may ?? false;
}

/** Applies nothing. Throws NotMigrated unless everything is applied, ConfigError if the database is newer. */
async function requireMigrated(
  client: PoolClient,
  owner: string,
  files: readonly string[],
  log: MigrationLog,
): Promise<string[]> {
  try {
    const newer = await refuseNewer(client, owner, files);
    if (newer.length > 0) log({ owner, newer }, "a newer version has migrated the database");
    const { rows } = await client.query<{ name: string }>(
      "select name from schema_migration where owner = $1",
      [owner],
    );
    const applied = new Set(rows.map(({ name }) => name));
    const missing = files.filter((name) => !applied.has(name));
    if (missing.length > 0) throw new NotMigrated(owner, missing);
    return [];
  } catch (error) {
    // No table yet, or nobody has let this login read it yet.
    if (isMissingTable(error) || isForbidden(error)) throw new NotMigrated(owner, files);
    throw error;
  }
}

/** The first versions made the table without it. Asked before, for even to find it there takes a lock on the table. */
async function addCompatibleFrom(client: PoolClient): Promise<void> {
  const { rows } = await client.query(
    "select from pg_attribute where attrelid = 'schema_migration'::regclass and attname = 'compatible_from'",
  );
  if (rows.length > 0) return;
  await client.query("alter table schema_migration add column compatible_from text");
}

/** What a migration says of older programs; null if nothing but that they must know it. */
function compatibleFrom(name: string, sql: string, files: readonly string[]): string | null {
  const oldest = compatibleLine.exec(sql)?.[1] ?? "none";
  if (oldest === "none") return null;
  if (files.includes(oldest) && oldest <= name) return oldest;
  throw new Error(`migration ${name} is compatible from ${oldest}, which is none before it`);
}

/** Returns the migrations of newer versions on which this one may run. Throws ConfigError if there is one more. */
async function refuseNewer(
  client: PoolClient,
  owner: string,
  files: readonly string[],
): Promise<string[]> {
  const { rows } = await client.query<{ name: string; compatible_from: string | null }>(
    `select name, compatible_from from schema_migration
     where owner = $1 and name <> all($2::text[]) order by name`,
    [owner, files],
  );
  const unfit = rows.filter((row) => !files.includes(row.compatible_from ?? row.name));
  if (unfit.length === 0) return rows.map(({ name }) => name);
  const names = unfit.map(({ name }) => name).join(", ");
  const needed = unfit.map((row) => row.compatible_from ?? row.name).at(-1);
  throw new ConfigError(
    "DATABASE_URL",
    "(hidden)",
    `the database is newer than this version of ${owner}, which does not know ${names}; ` +
      `start one that knows ${needed}: this one ends with ${files.at(-1)}`,
  );
}

/** Makes roles and grants, or says why this login may not: then they are as somebody else has made them. */
async function grantRoles(client: PoolClient, sql: string): Promise<string | undefined> {
  const roles = new Set(
    [...sql.matchAll(grantedTo)].flatMap(([, names = ""]) => names.split(", ")),
  );
  try {
    for (const role of roles) await ensureRole(client, role);
    await inTransaction(client, async () => {
      await client.query(sql);
      await client.query(`grant select on schema_migration to ${[...roles].join(", ")}`);
    });
    return undefined;
  } catch (error) {
    if (!isForbidden(error)) throw error;
    return error.message;
  }
}

/**
 * Makes a role that cannot log in, unless it is there, and lets this login work as it. Only what is missing is made, so that
 * a login that may not make roles finds those that were made for it.
 */
export async function ensureRole(client: PoolClient, role: string): Promise<void> {
  const name = escapeIdentifier(role);
  await client.query(`do $$ begin
    if not exists (select from pg_roles where rolname = ${escapeLiteral(role)}) then
      begin
        create role ${name} nologin;
      exception
        when duplicate_object or unique_violation then null;
      end;
    end if;
    if not pg_has_role(current_user, ${escapeLiteral(role)}, 'SET') then
      grant ${name} to current_user;
    end if;
  end $$`);
}

async function inTransaction(client: PoolClient, work: () => Promise<unknown>): Promise<void> {
  await client.query("begin");
  try {
    await work();
    await client.query("commit");
  } catch (error) {
    await client.query("rollback");
    throw error;
  }
}

interface Migration {
  readonly owner: string;
  /** Of its file. */
  readonly name: string;
  readonly sql: string;
  readonly compatibleFrom: string | null;
}

async function applyOnce(
  client: PoolClient,
  { owner, name, sql, compatibleFrom: from }: Migration,
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
  await inTransaction(client, async () => {
    await client.query(sql);
    await client.query(
      "insert into schema_migration (owner, name, sha256, compatible_from) values ($1, $2, $3, $4)",
      [owner, name, sha256, from],
    );
  });
  return true;
}
