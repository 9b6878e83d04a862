// Goal: a start brings tables, roles and grants up to date whatever others do meanwhile, or says why it cannot. Method:
// the services' migrations on a real PostgreSQL of the test's own, with locks held, roles gone and files unknown.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { packApprovals } from "#common/postgres/approvals.ts";
import {
  packPostings,
  readEvidence,
  readEvidenceByPrefix,
  unhex,
} from "#common/postgres/evidence.ts";
import { ensureLogin } from "#common/postgres/logins.ts";
import { migrate, migrateAtStart } from "#common/postgres/migrate.ts";
import { createPool, type Pool } from "#common/postgres/pool.ts";
import { serviceNames } from "#common/service-names.ts";
import { approve, approvers } from "../support/approval/approvals.ts";
import { clearOne, startClearingWorld } from "../support/clearing/world.ts";
import { attest, houseIntentOf } from "../support/intents/intents.ts";
import { engines } from "../support/ledger/tigerbeetle.ts";
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
const folderOf = (owner: string) => new URL(`../../services/${owner}/migrations/`, import.meta.url);
const start = (owner: string, databaseUrl = postgres.databaseUrl) =>
  migrateAtStart(databaseUrl, owner, folderOf(owner), (details, message) =>
    lines.push(`${message} ${JSON.stringify(details)}`),
  );

/** Every right that a role of the services has on a table or a column, in a database. */
async function rights(database: Pool = pool): Promise<readonly string[]> {
  const { rows } = await database.query<{ right: string }>(
    `with granted as (
       select oid as table_oid, '' as column_name, relacl as acl from pg_class
         where relnamespace = 'public'::regnamespace
       union all
       select attrelid, attname, attacl from pg_attribute
         where attrelid in (select oid from pg_class where relnamespace = 'public'::regnamespace))
     select format('%s may %s %s %s', grantee::regrole, privilege_type, table_oid::regclass, column_name) as right
     from granted, aclexplode(acl)
     where grantee <> 0 and grantee::regrole::text like 'sovr\\_%'
     order by 1`,
  );
  return rows.map(({ right }) => right);
}

/** A login without any right, which owns a database of its name; the URL of that. */
async function makeLogin(name: string): Promise<string> {
  await pool.query(`create role ${name} login password '${name}'`);
  await pool.query(`create database ${name} owner ${name}`);
  const url = new URL(postgres.databaseUrl);
  return Object.assign(url, { username: name, password: name, pathname: `/${name}` }).href;
}

/** What a service works as. */
const roles = serviceNames.map((service) => `sovr_${service}`);

test("roles and every right are there again after a start, as after a restore into a fresh server", async () => {
  for (const owner of owners) expect((await start(owner)).length).toBeGreaterThan(0);
  const before = await rights();
  for (const owner of owners) expect(before.join()).toContain(`sovr_${owner} may INSERT`);
  for (const role of roles) expect(before.join()).toContain(`${role} may SELECT`);
  for (const role of roles) await pool.query(`drop owned by ${role}; drop role ${role}`);
  expect(await rights()).toEqual([]);
  for (const owner of owners) expect(await start(owner)).toEqual([]);
  // A right that is missing here stands in a migration, and not in roles.sql beside it.
  expect(await rights()).toEqual(before);
});

test("a login that may make roles no more finds those that were made for it, as after a restore", async () => {
  const url = await makeLogin("house");
  await pool.query(`alter role house createrole`);
  await pool.query(`grant ${roles.join()} to house with admin option`);
  const database = createPool({ databaseUrl: url, applicationName: "test" });
  try {
    for (const owner of owners) expect((await start(owner, url)).length).toBeGreaterThan(0);
    const expected = await rights();
    expect(await rights(database)).toEqual(expected);
    await pool.query(`alter role house nocreaterole`);
    await pool.query(`revoke ${roles.join()} from house cascade; grant ${roles.join()} to house`);
    await database.query(`revoke all on all tables in schema public from ${roles.join()}`);
    lines.length = 0;
    for (const owner of owners) expect(await start(owner, url)).toEqual([]);
    expect(await rights(database)).toEqual(expected);
    expect(lines).toEqual([]);
  } finally {
    await database.end();
  }
});

test("a login that may neither make roles nor use them says so in its log, and leaves them as they are", async () => {
  const url = await makeLogin("guest");
  await pool.query(`alter role guest createrole`);
  await pool.query(`grant ${roles.join()} to guest with admin option`);
  expect((await start("attestor", url)).length).toBeGreaterThan(0);
  await pool.query(`alter role guest nocreaterole`);
  await pool.query(`revoke ${roles.join()} from guest cascade`);
  lines.length = 0;
  expect(await start("attestor", url)).toEqual([]);
  expect(lines.join()).toMatch(/roles and grants are left as they are.*sovr_attestor/);
});

test("a login that may not make tables waits for one who may, and says what is missing", async () => {
  await pool.query("create database tenancy");
  const url = (login: object) =>
    Object.assign(new URL(postgres.databaseUrl), { pathname: "/tenancy", ...login }).href;
  const login = { username: "sovr_attestor", password: "of the Attestor's own" };
  await ensureLogin(url({}), { role: login.username, password: login.password });
  lines.length = 0;
  const started = start("attestor", url(login));
  await expect
    .poll(() => lines.join())
    .toMatch(/the database lacks 0001-attestation\.sql.* of attestor, and this login may not/);
  expect((await start("attestor", url({}))).length).toBeGreaterThan(0);
  expect(await started).toEqual([]);
  // And it is nobody else: there is no way back to one who may.
  const { username: owner } = new URL(postgres.databaseUrl);
  const own = createPool({ databaseUrl: url(login), applicationName: "test" });
  try {
    for (const statement of [`set role ${owner}`, "set role sovr_clearing", "create table x ()"]) {
      await expect(own.query(statement)).rejects.toMatchObject({ code: "42501" });
    }
  } finally {
    await own.end();
  }
});

test("a start waits for a lock longer than one attempt may, says so, and goes on", async () => {
  const holder = await pool.connect();
  try {
    // The lock on which all migrations take turns: another service's is under way.
    await holder.query("select pg_advisory_lock(7107112)");
    lines.length = 0;
    const started = start("attestor");
    await expect.poll(() => lines.join()).toContain("migrations wait and are tried again");
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
    /newer than this version of clearing, which does not know 0999-newer\.sql; start one that knows 0999-newer\.sql: this one ends with 00\d\d-[a-z-]+\.sql$/,
  );
  expect(await start("attestor")).toEqual([]);
  await pool.query("delete from schema_migration where name = '0999-newer.sql'");
});

/** The migrations of a later version of Clearing: those of this one, and what is added. */
async function migrateAsNewer(added: Readonly<Record<string, string>>): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), "sovr-migrations-"));
  try {
    cpSync(fileURLToPath(folderOf("clearing")), folder, { recursive: true });
    for (const [name, sql] of Object.entries(added)) writeFileSync(join(folder, name), sql);
    return await migrate(pool, "clearing", pathToFileURL(`${folder}/`));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test("this version runs on what a newer one has migrated, if that says so, and is refused where it ends", async () => {
  const additive = {
    "0991-additive.sql": `-- compatible-from: 0005-ledger-identity.sql
      create table later_table (id integer primary key);
      alter table evidence add column later_column text;`,
    "0992-additive.sql": `-- compatible-from: 0991-additive.sql
      create index later_index on later_table (id);`,
  };
  const [embedded] = engines;
  if (embedded === undefined) throw new Error("there is no engine");
  const world = await startClearingWorld(embedded, postgres.databaseUrl);
  try {
    // The first half of a roll-out, and back: the old program starts on the new tables, and clears.
    expect(await migrateAsNewer({ "0991-additive.sql": additive["0991-additive.sql"] })).toEqual([
      "0991-additive.sql",
    ]);
    lines.length = 0;
    expect(await start("clearing")).toEqual([]);
    expect(lines.join()).toContain("a newer version has migrated the database");
    const old = await world.openReplica();
    const key = await world.openFunded(old, 10n);
    await world.closeReplica(old);
    // And forward again, by one more that an old program must not meet: it knows nothing of 0991.
    expect(await migrateAsNewer(additive)).toEqual(["0992-additive.sql"]);
    await expect(world.openReplica()).rejects.toThrow(
      /does not know 0992-additive\.sql; start one that knows 0991-additive\.sql: this one ends with /,
    );
    await pool.query("delete from schema_migration where name = '0992-additive.sql'");
    const again = await world.openReplica();
    await clearOne(again, world.purchase(key, 1n));
  } finally {
    await world.close();
    await pool.query("drop table later_table; alter table evidence drop column later_column");
    await pool.query("delete from schema_migration where name like '099_-additive.sql'");
  }
});

test("a migration can be compatible with none but itself and those before it", async () => {
  for (const oldest of ["0994-later.sql", "0000-nowhere.sql"]) {
    const sql = `-- compatible-from: ${oldest}\nselect 1;`;
    await expect(
      migrateAsNewer({ "0993-wrong.sql": sql, "0994-later.sql": "select 1;" }),
    ).rejects.toThrow(`migration 0993-wrong.sql is compatible from ${oldest}`);
  }
});

test("tables of the first versions learn what may run on them", async () => {
  await pool.query("alter table schema_migration drop column compatible_from");
  expect(await start("clearing")).toEqual([]);
  const { rows } = await pool.query("select from schema_migration where compatible_from is null");
  expect(rows.length).toBeGreaterThan(0);
});

test("evidence is read also where Clearing is older, and knows no approvals", async () => {
  const databaseUrl = await makeLogin("older");
  const older = createPool({ databaseUrl, applicationName: "test" });
  try {
    await older.query(readFileSync(new URL("0001-evidence.sql", folderOf("clearing")), "utf8"));
    const intent = houseIntentOf();
    const { digest, signature, signer } = attest(intent);
    await older.query(
      `insert into evidence (intent_id, digest, phase, wallet, merchant_id, reference, postings,
         timeout_seconds, issue_time, expire_time, signature, signer)
       values ($1, $2, 1, $3, $4, $5, $6, 0, $7, $8, $9, $10)`,
      [
        intent.intentId,
        unhex(digest),
        unhex(intent.wallet),
        intent.merchantId,
        intent.reference,
        packPostings(intent.postings),
        intent.issueTime.toString(),
        intent.expireTime.toString(),
        unhex(signature),
        unhex(signer),
      ],
    );
    const read = async () => (await readEvidence(older, [intent.intentId])).get(intent.intentId);
    expect(await read()).toEqual({ intent, attestation: attest(intent) });
    const byPrefix = await readEvidenceByPrefix(older, [digest.slice(0, 50)]);
    expect([...byPrefix.values()]).toEqual([{ intent, attestation: attest(intent) }]);
    // The same connection, whose statement is prepared, sees the column from the moment on when it is there.
    await older.query("alter table evidence add column approvals bytea");
    const approvals = [approve(digest, approvers[0])];
    await older.query("alter table evidence disable trigger user");
    await older.query("update evidence set approvals = $1", [unhex(packApprovals(approvals))]);
    expect((await read())?.attestation.approvals).toEqual(approvals);
    const again = await readEvidenceByPrefix(older, [digest.slice(0, 50)]);
    expect([...again.values()][0]?.attestation.approvals).toEqual(approvals);
  } finally {
    await older.end();
  }
});
