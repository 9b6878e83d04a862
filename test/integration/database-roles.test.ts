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
    partly: { clearing_day_sum: ["amount"] },
    // When an intent was first attested: what is dated back is refused.
    readable: ["attestation_intent"],
    foreign: ["attestation_signature", "attestation_proposal", "checkout_order"],
  },
  sovr_attestor: {
    own: ["attestation_intent", "attestation_signature"],
    changeable: [],
    partly: {
      attestation_proposal: ["approvals", "close_time", "state"],
      attestation_decision: ["approval", "insert_time"],
      attestation_day_sum: ["amount"],
    },
    readable: ["evidence"],
    foreign: ["clearing_failure", "clearing_day_sum", "checkout_order"],
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
    partly: {},
    readable: [],
    foreign: [
      "attestation_intent",
      "attestation_signature",
      "attestation_proposal",
      "attestation_decision",
      "evidence",
      "clearing_failure",
    ],
  },
  sovr_ledger: readers(),
  sovr_eventstream: readers(),
} as const;

/** Who reads the ledger and adds to nothing. */
function readers() {
  return {
    own: [],
    changeable: [],
    partly: {},
    readable: ["evidence", "ledger_identity"],
    foreign: ["attestation_intent", "clearing_failure", "ledger_adoption", "checkout_order"],
  } as const;
}

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
  const known = Object.values(rights).flatMap(({ own, changeable, partly }) => [
    ...own,
    ...changeable,
    ...Object.keys(partly),
  ]);
  expect(rows.map(({ name }) => name).filter((name) => !name.includes("migration"))).toEqual(
    [...known, "ledger_adoption", "ledger_identity"].sort(),
  );
});

for (const [role, { own, changeable, partly, readable, foreign }] of Object.entries(rights)) {
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

    for (const [table, columns] of Object.entries(partly)) {
      it(`reads ${table}, adds to it, changes ${columns.join(", ")}, and can do nothing else`, async () => {
        const allowed = Object.entries(await isAllowed(role, table)).filter(([, may]) => may);
        expect(allowed.map(([right]) => right).sort()).toEqual(["insert", "select"]);
        const { rows } = await open(role).query<{ name: string }>(
          `select column_name as name from information_schema.columns
           where table_name = $1 and has_column_privilege($1, column_name, 'update') order by name`,
          [table],
        );
        expect(rows.map(({ name }) => name)).toEqual(columns);
      });
    }

    for (const table of readable) {
      it(`reads ${table} and may do nothing else to it`, async () => {
        const allowed = Object.entries(await isAllowed(role, table)).filter(([, may]) => may);
        expect(allowed).toEqual([["select", true]]);
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

it("gives no role of a service more than its grants: no superuser, no way to another role, nothing of its own", async () => {
  const { rows } = await open().query<{ name: string; more: boolean }>(
    `select rolname as name, rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls
       or exists (select from pg_auth_members where member = pg_roles.oid)
       or exists (select from pg_class where relowner = pg_roles.oid)
       or has_schema_privilege(pg_roles.oid, 'public', 'create') as more
     from pg_roles where rolname like 'sovr\\_%' order by name`,
  );
  expect(rows).toEqual(
    Object.keys(rights)
      .toSorted()
      .map((name) => ({ name, more: false })),
  );
});

it("lets the Attestor read evidence and not add to it", async () => {
  const pool = open("sovr_attestor");
  await pool.query("select count(*) from evidence");
  await expect(pool.query("insert into evidence default values")).rejects.toMatchObject({
    code: insufficientPrivilege,
  });
});

describe("what was counted and decided", () => {
  it("stays, whoever asks", async () => {
    for (const [role, table] of [
      ["sovr_clearing", "clearing_day_sum"],
      ["sovr_attestor", "attestation_day_sum"],
    ] as const) {
      await open(role).query(`insert into ${table} (key, minute, amount) values ('RULE/1', 1, 10)`);
      await open(role).query(`update ${table} set amount = 11`);
      for (const asked of [role, undefined]) {
        for (const statement of [`update ${table} set amount = 10`, `delete from ${table}`]) {
          await expect(open(asked).query(statement)).rejects.toMatchObject({
            code: insufficientPrivilege,
          });
        }
      }
    }
  });

  it("closes a proposal once", async () => {
    const owner = open();
    const id = "019abcde-0000-7000-8000-000000000001";
    await owner.query(
      `insert into attestation_intent (intent_id, digest) values ('${id}', decode(repeat('ab', 32), 'hex'))`,
    );
    await owner.query(
      `insert into attestation_proposal (intent_id, intent, proposer, signer, expire_time)
       values ('${id}', '{}', 'ada', decode(repeat('ab', 20), 'hex'), 1)`,
    );
    const close = (state: string) =>
      owner.query(`update attestation_proposal set state = '${state}', close_time = now()`);
    await close("REJECTED");
    for (const state of ["WITHDRAWN", "OPEN", "REJECTED"]) {
      await expect(close(state)).rejects.toMatchObject({ code: insufficientPrivilege });
    }
  });
});

describe("the identity of the ledger", () => {
  const adopt = `insert into ledger_adoption (adopted_by, new_cluster_id, new_birth_timestamp, new_high_water_mark)
    values ('test', 8, 200, 20)`;

  it("is written once by Clearing, which may raise its mark", async () => {
    const pool = open("sovr_clearing");
    const insert = `insert into ledger_identity (cluster_id, birth_account_id, birth_timestamp, high_water_mark)
      values (7, 1000001, null, 100)`;
    await pool.query(insert);
    await expect(pool.query(insert)).rejects.toMatchObject({ code: "23505" });
    await pool.query("update ledger_identity set birth_timestamp = 90, high_water_mark = 200");
  });

  it.each(["sovr_clearing", undefined])(
    "changes in nothing else, whoever asks: %s",
    async (role) => {
      const pool = open(role);
      for (const statement of [
        "update ledger_identity set high_water_mark = 199",
        "update ledger_identity set birth_timestamp = 91",
        "update ledger_identity set birth_timestamp = null",
        "update ledger_identity set cluster_id = 8",
        "update ledger_identity set birth_account_id = 8",
        "delete from ledger_identity",
        "truncate ledger_identity",
      ]) {
        await expect(pool.query(statement)).rejects.toMatchObject({ code: insufficientPrivilege });
      }
    },
  );

  it("changes only in a transaction that leaves a trace, and no service may leave one", async () => {
    await expect(open("sovr_clearing").query(adopt)).rejects.toMatchObject({
      code: insufficientPrivilege,
    });
    const change =
      "update ledger_identity set cluster_id = 8, birth_timestamp = 200, high_water_mark = 20";
    const client = await open().connect();
    try {
      await client.query(`begin; ${adopt}; ${change}; commit`);
    } finally {
      client.release();
    }
    for (const statement of [
      "update ledger_identity set high_water_mark = 1",
      "delete from ledger_adoption",
    ]) {
      await expect(open().query(statement)).rejects.toMatchObject({ code: insufficientPrivilege });
    }
  });
});
