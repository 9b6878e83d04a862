// Goal: whoever takes over a service's connection to PostgreSQL can add to the records and read them, and nothing else.
// Method: the migrations on a real PostgreSQL, then the worst statements as the roles that the services work as.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { migrate } from "#common/postgres/migrate.ts";
import { createPool, type Pool } from "#common/postgres/pool.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

let postgres: TestPostgres;
const pools: Pool[] = [];

beforeAll(async () => {
  postgres = await startPostgres();
  const owner = open();
  // In the order in which the services may not start: each must bring the roles that it grants to.
  for (const name of ["attestor", "clearing"]) {
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
    foreign: ["attestation_intent", "attestation_signature"],
  },
  sovr_attestor: {
    own: ["attestation_intent", "attestation_signature"],
    foreign: ["clearing_failure"],
  },
} as const;

for (const [role, { own, foreign }] of Object.entries(rights)) {
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
