// Goal: a start brings tables, roles and grants up to date whatever others do meanwhile, or says why it cannot. Method:
// the services' migrations on a real PostgreSQL of the test's own, with locks held, roles gone and files unknown.
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { migrateAtStart } from "#common/postgres/migrate.ts";
import { createPool, type Pool } from "#common/postgres/pool.ts";
import { startPostgres, type TestPostgres } from "../support/postgres/postgres.ts";

let postgres: TestPostgres;
let pool: Pool;

beforeAll(async () => {
  postgres = await startPostgres();
  pool = createPool({ databaseUrl: postgres.databaseUrl, applicationName: "test" });
});
afterAll(async () => {
  await pool?.end();
  await postgres?.stop();
});

const owners = ["checkout", "attestor", "clearing"] as const;
const lines: string[] = [];
const start = (owner: string) =>
  migrateAtStart(
    postgres.databaseUrl,
    owner,
    new URL(`../../services/${owner}/migrations/`, import.meta.url),
    (details, message) => lines.push(`${message} ${JSON.stringify(details)}`),
  );

async function mayInsert(role: string, table: string): Promise<boolean | undefined> {
  const { rows } = await pool.query<{ allowed: boolean }>(
    "select has_table_privilege($1, $2, 'insert') as allowed",
    [role, table],
  );
  return rows[0]?.allowed;
}

test("roles and grants that are gone, as after a restore, are there again after a start", async () => {
  for (const owner of owners) expect((await start(owner)).length).toBeGreaterThan(0);
  for (const owner of owners) {
    await pool.query(`drop owned by sovr_${owner}; drop role sovr_${owner}`);
  }
  for (const owner of owners) expect(await start(owner)).toEqual([]);
  expect(await mayInsert("sovr_checkout", "checkout_order")).toBe(true);
  expect(await mayInsert("sovr_attestor", "attestation_intent")).toBe(true);
  expect(await mayInsert("sovr_clearing", "evidence")).toBe(true);
});

test("a start waits for a lock longer than one attempt may, says so, and goes on", async () => {
  const holder = await pool.connect();
  try {
    // The lock on which all migrations take turns: another service's is under way.
    await holder.query("select pg_advisory_lock(7107112)");
    lines.length = 0;
    const started = start("attestor");
    await sleep(5_500);
    expect(lines.join()).toContain("migrations wait and are tried again");
    await holder.query("select pg_advisory_unlock(7107112)");
    expect(await started).toEqual([]);
  } finally {
    holder.release();
  }
});

test("a database that a newer version has made stops the start and names what is unknown", async () => {
  await pool.query(
    "insert into schema_migration (owner, name, sha256) values ('clearing', '0999-newer.sql', '')",
  );
  await expect(start("clearing")).rejects.toThrow(
    /newer than this version of clearing, which does not know 0999-newer\.sql/,
  );
  expect(await start("attestor")).toEqual([]);
});
