// Goal: whoever takes over a service's connection to PostgreSQL can add to the records and read them, and nothing else;
// Checkout can also bring its own orders on.
// Method: the migrations on a real PostgreSQL, then the worst statements as the roles that the services work as.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { migrate } from "#common/postgres/migrate.ts";
import { createPool, type Pool } from "#common/postgres/pool.ts";
import { startPostgres, type TestPostgres } from "../support/postgres/postgres.ts";

let postgres: TestPostgres;
const pools: Pool[] = [];

beforeAll(async () => {
  postgres = await startPostgres();
  const owner = open();
  // In the order in which the services may not start: each must bring the roles that it grants to.
  for (const name of ["checkout", "attestor", "clearing"]) {
    const folder = new URL(`../../services/${name}/migrations/`, import.meta.url);
    await migrate(owner, name, folder);
  }
});
afterAll(async () => {
  await Promise.all(pools.map((pool) => pool.end()));
  await postgres?.stop();
});

function open(role?: string): Pool {
  const pool = createPool({
    databaseUrl: postgres.databaseUrl,
    applicationName: "test",
    ...(role === undefined ? {} : { role }),
  });
  pools.push(pool);
  return pool;
}

const insufficientPrivilege = "42501";

const rights = {
  sovr_clearing: {
    own: ["evidence", "clearing_failure"],
    changeable: [],
    foreign: ["attestation_intent", "attestation_signature", "checkout_order"],
  },
  sovr_attestor: {
    own: ["attestation_intent", "attestation_signature"],
    changeable: [],
    foreign: ["clearing_failure", "checkout_order"],
  },
  sovr_checkout: {
    own: ["checkout_transition"],
    changeable: [
      "checkout_order",
      "checkout_entry",
      "checkout_attempt",
      "checkout_webhook_event",
      "checkout_webhook_sweep",
    ],
    foreign: ["attestation_intent", "attestation_signature", "evidence", "clearing_failure"],
  },
} as const;

async function isAllowed(role: string, table: string): Promise<Record<string, boolean>> {
  const { rows } = await open(role).query<{ right: string; allowed: boolean }>(
    `select name as right, has_table_privilege($1, name) as allowed
     from unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger']) as name`,
    [table],
  );
  return Object.fromEntries(rows.map(({ right, allowed }) => [right, allowed]));
}

it("knows every table that a service has", async () => {
  const { rows } = await open().query<{ name: string }>(
    "select tablename as name from pg_tables where schemaname = 'public' order by name",
  );
  const known = Object.values(rights).flatMap(({ own, changeable }) => [...own, ...changeable]);
  expect(rows.map(({ name }) => name).filter((name) => !name.includes("migration"))).toEqual(
    known.sort(),
  );
});

for (const [role, { own, changeable, foreign }] of Object.entries(rights)) {
  describe(`the role ${role}`, () => {
    for (const table of own) {
      it(`reads ${table} and can neither change nor empty nor drop it`, async () => {
        const pool = open(role);
        await pool.query(`select count(*) from ${table}`);
        for (const statement of [
          `update ${table} set intent_id = intent_id`,
          `delete from ${table}`,
          `truncate ${table} cascade`,
          `drop table ${table} cascade`,
          `alter table ${table} disable trigger all`,
        ]) {
          await expect(pool.query(statement)).rejects.toMatchObject({
            code: insufficientPrivilege,
          });
        }
      });

      it(`may add to ${table}`, async () => {
        const { rows } = await open(role).query<{ allowed: boolean }>(
          "select has_table_privilege($1, 'insert') as allowed",
          [table],
        );
        expect(rows).toEqual([{ allowed: true }]);
      });
    }

    for (const table of changeable) {
      it(`reads ${table}, adds to it and changes it, and can neither empty nor drop it`, async () => {
        const allowed = { select: true, insert: true, update: true };
        const refused = { delete: false, truncate: false, references: false, trigger: false };
        expect(await isAllowed(role, table)).toEqual({ ...allowed, ...refused });
        const pool = open(role);
        await pool.query(`select count(*) from ${table}`);
        for (const statement of [
          `delete from ${table}`,
          `truncate ${table} cascade`,
          `drop table ${table} cascade`,
          `alter table ${table} disable trigger all`,
        ]) {
          await expect(pool.query(statement)).rejects.toMatchObject({
            code: insufficientPrivilege,
          });
        }
      });
    }

    for (const table of foreign) {
      it(`sees nothing of ${table}`, async () => {
        await expect(open(role).query(`select * from ${table}`)).rejects.toMatchObject({
          code: insufficientPrivilege,
        });
      });
    }
  });
}

it("lets the Attestor read evidence and not add to it", async () => {
  const pool = open("sovr_attestor");
  await pool.query("select count(*) from evidence");
  await expect(pool.query("insert into evidence default values")).rejects.toMatchObject({
    code: insufficientPrivilege,
  });
});
