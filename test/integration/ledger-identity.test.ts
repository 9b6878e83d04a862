// Goal: nothing clears into a ledger that is not the one its records belong to, and nobody has to find that out by
// counting. Method: a house with cleared money, whose ledger or database is then lost, swapped or put back as it was
// before; then a start, or a running Clearing.
import { existsSync, renameSync } from "node:fs";
import { userInfo } from "node:os";
import { afterEach, beforeEach, expect, it } from "vitest";
import { migrateAtStart } from "#common/postgres/migrate.ts";
import { createPool } from "#common/postgres/pool.ts";
import { openClient } from "#common/tigerbeetle/open-client.ts";
import { runProgram } from "../../cli/command/run-program.ts";
import { emptyTransfer } from "../../engine/testing/empty-rows.ts";
import { migrations } from "../../services/checkout/drivers/postgres/store.ts";
import type { ClearingDeps } from "../../services/clearing/deps.ts";
import { insertSold } from "../support/checkout/sold.ts";
import {
  type ClearingWorld,
  chart,
  clearOne,
  newKey,
  operator,
  refusalOf,
  soon,
  startClearingWorld,
} from "../support/clearing/world.ts";
import { insertEvidence } from "../support/intents/seed.ts";
import { keepCopy, putBack, whileShut } from "../support/ledger/files.ts";
import { describeOnEngines, type RunningEngine } from "../support/ledger/tigerbeetle.ts";
import { copyDatabase, openDatabase } from "../support/postgres/database.ts";
import type { TestDatabase } from "../support/postgres/postgres.ts";
import { nodeEnvironment } from "../support/process/node-environment.ts";

describeOnEngines("The ledger's identity", (engine) => {
  const databases: TestDatabase[] = [];
  const engines: RunningEngine[] = [];
  let records: TestDatabase;
  let world: ClearingWorld;

  beforeEach(async () => {
    records = await openDatabase();
    databases.push(records);
    world = await startClearingWorld(engine, records.databaseUrl);
  });
  afterEach(async () => {
    await world?.close();
    await Promise.all(engines.splice(0).map((other) => other.stop()));
    await Promise.all(databases.splice(0).map((database) => database.stop()));
  });

  /** Another, empty ledger of the same cluster id. */
  const otherLedger = async (): Promise<RunningEngine> => {
    const other = await engine.start(world.engine.config.clusterId);
    engines.push(other);
    return other;
  };

  const sql = async (text: string): Promise<void> => {
    const pool = createPool({ databaseUrl: records.databaseUrl, applicationName: "test" });
    try {
      await pool.query(text);
    } finally {
      await pool.end();
    }
  };

  /** As the last release left it: evidence, and no identity. */
  const forgetIdentity = () =>
    sql(
      "drop table ledger_identity, ledger_adoption cascade; drop function guard_ledger_identity;" +
        "delete from schema_migration where name = '0005-ledger-identity.sql'",
    );

  const clearSome = async (replica: ClearingDeps, count: number): Promise<void> => {
    const key = await world.openFunded(replica, 100n);
    for (let purchase = 1; purchase < count; purchase += 1) {
      await clearOne(replica, world.purchase(key, 1n));
    }
  };

  /** Clears three intents in a replica that is closed again. */
  const history = async (): Promise<void> => {
    const replica = await world.openReplica();
    await clearSome(replica, 3);
    await world.closeReplica(replica);
  };

  it("starts again on its own, also where the last release wrote no identity", async () => {
    await history();
    await world.closeReplica(await world.openReplica());
    await forgetIdentity();
    const replica = await world.openReplica();
    await clearSome(replica, 2);
  });

  it("refuses an empty ledger of the same cluster, and creates nothing in it", async () => {
    await history();
    for (const forget of [async () => undefined, forgetIdentity]) {
      await forget();
      const other = await otherLedger();
      await expect(world.openReplica({ engine: other.config })).rejects.toThrow(
        /belong to.*\.\/mesh ledger adopt/,
      );
      if (other.config.engine.kind === "embedded") {
        expect(existsSync(other.config.engine.path)).toBe(false);
      } else {
        const empty = await openDatabase();
        databases.push(empty);
        // A first start there finds no account yet.
        await world.closeReplica(
          await world.openReplica({ engine: other.config, databaseUrl: empty.databaseUrl }),
        );
      }
    }
  });

  it("refuses a ledger that has a chart and transfers of its own", async () => {
    await history();
    const other = await otherLedger();
    const foreign = await openDatabase();
    databases.push(foreign);
    const replica = await world.openReplica({
      engine: other.config,
      databaseUrl: foreign.databaseUrl,
    });
    await clearSome(replica, 2);
    await world.closeReplica(replica);
    await expect(world.openReplica({ engine: other.config })).rejects.toThrow(
      /account 1000001 was opened at .* in this one at /,
    );
    await forgetIdentity();
    await expect(world.openReplica({ engine: other.config })).rejects.toThrow(
      "of the 3 newest intents that may have cleared none is in the ledger",
    );
  });

  it("refuses an older copy of its own ledger", async () => {
    await history();
    await whileShut(world.engine, keepCopy);
    const replica = await world.openReplica();
    await clearSome(replica, 3);
    await world.closeReplica(replica);
    await whileShut(world.engine, putBack);
    await expect(world.openReplica()).rejects.toThrow(
      /the newest row of this ledger is of .* it is an old copy, or was rolled back/,
    );
    // One row written past Clearing, and the copy is newer than anything that was seen.
    const client = await openClient(world.engine.config);
    const row = { ...emptyTransfer(77n), amount: 5n, ledger: 1, code: 10 };
    await client.createTransfers([
      { ...row, debit_account_id: chart.cash, credit_account_id: chart.stripe },
    ]);
    client.destroy();
    await expect(world.openReplica()).rejects.toThrow(
      /a row of .* was seen and is not in this ledger.* rolled back, and has gone on since/,
    );
  });

  it("refuses a ledger without what others were told, also where the last release wrote no identity", async () => {
    await migrateAtStart(records.databaseUrl, "checkout", migrations);
    await history();
    const pool = createPool({ databaseUrl: records.databaseUrl, applicationName: "test" });
    try {
      // What an old copy looks like: most is there, and the last is not.
      const lost = world.funding(newKey().address, 5n);
      await insertEvidence(pool, lost);
      await forgetIdentity();
      await world.closeReplica(await world.openReplica());
      await forgetIdentity();
      await insertSold(pool, lost, { orderId: "A-1", commitTimestamp: 1n });
      await expect(world.openReplica()).rejects.toThrow(
        `of the 1 newest intents that have cleared by the records 1 are not in the ledger, the newest of them ${lost.intent.intentId}`,
      );
      await pool.query("update checkout_attempt set state = 'DEAD'");
      await world.closeReplica(await world.openReplica());
    } finally {
      await pool.end();
    }
  });

  it("refuses records that are older than the ledger, or empty", async () => {
    await history();
    const older = await copyDatabase(records);
    databases.push(older);
    await history();
    await expect(world.openReplica({ databaseUrl: older.databaseUrl })).rejects.toThrow(
      /3 later transfers have no evidence .* the database was rolled back/,
    );
    const empty = await openDatabase();
    databases.push(empty);
    await expect(world.openReplica({ databaseUrl: empty.databaseUrl })).rejects.toThrow(
      "the records hold no evidence: the database is empty, or another one",
    );
  });

  it("starts where a first start was killed between chart and identity", async () => {
    await world.closeReplica(await world.openReplica());
    await forgetIdentity();
    await clearSome(await world.openReplica(), 2);
  });

  it("starts on a foreign, empty ledger once somebody adopted it, and not before", async () => {
    await history();
    const other = await otherLedger();
    const adopt = async (...more: string[]) => {
      const environment = { ...process.env, ...nodeEnvironment(), ...world.environment() };
      const { engine: there } = other.config;
      const place =
        there.kind === "embedded"
          ? { EMBEDDED_LEDGER_PATH: there.path }
          : { TIGERBEETLE_ADDRESSES: there.addresses.join(",") };
      const result = await runProgram(process.execPath, ["cli/ledger.ts", "adopt", ...more], {
        env: { ...environment, ...place },
        timeoutMs: 30_000,
      });
      return result;
    };
    const asked = await adopt();
    expect(asked).toMatchObject({ code: 1 });
    expect(asked.output).toContain("3 intents have evidence");
    expect(asked.output).toContain("empty, not born yet, newest row never");
    await expect(world.openReplica({ engine: other.config })).rejects.toThrow("belong to");
    expect(await adopt("--yes")).toMatchObject({ code: 0 });
    await clearSome(await world.openReplica({ engine: other.config }), 2);
    await expect(world.openReplica()).rejects.toThrow("it is another one");
    const pool = createPool({ databaseUrl: records.databaseUrl, applicationName: "test" });
    const { rows } = await pool.query(
      "select adopted_by, old_birth_timestamp from ledger_adoption",
    );
    await pool.end();
    expect(rows).toEqual([
      { adopted_by: userInfo().username, old_birth_timestamp: expect.stringMatching(/^[0-9]+$/) },
    ]);
  });

  it("refuses to clear while it runs once the database is an older one", async () => {
    const replica = await world.openReplica();
    await clearSome(replica, 2);
    const identity = replica.dependencies.find(({ name }) => name === "ledger_identity");
    await identity?.probe(AbortSignal.timeout(5_000));
    await sql(`
      begin;
      insert into ledger_adoption (adopted_by, new_cluster_id, new_high_water_mark) values ('a restore', 0, 0);
      update ledger_identity set high_water_mark = 1;
      commit`);
    await expect(identity?.probe(AbortSignal.timeout(5_000))).rejects.toThrow("rolled back");
    const key = newKey();
    await expect(
      replica.clearing.openWallet(key.address, 1, operator, soon()),
    ).rejects.toMatchObject({ kind: "LEDGER_UNAVAILABLE" });
    const refusal = await refusalOf(replica, world.funding(key.address, 5n));
    expect(refusal.kind).toBe("LEDGER_UNAVAILABLE");
    expect(await world.available(chart.cash)).toBe(-100n);
  });

  it.skipIf(engine.name !== "embedded")(
    "names a file that is moved away, before and after",
    async () => {
      const { engine: own } = world.engine.config;
      if (own.kind !== "embedded") return;
      const replica = await world.openReplica();
      await clearSome(replica, 2);
      renameSync(own.path, `${own.path}.away`);
      const identity = replica.dependencies.find(({ name }) => name === "ledger_identity");
      await expect(identity?.probe(AbortSignal.timeout(5_000))).rejects.toThrow("was moved away");
      await expect(clearOne(replica, world.funding(newKey().address, 5n))).rejects.toMatchObject({
        kind: "LEDGER_UNAVAILABLE",
      });
      await expect(world.openReplica()).rejects.toThrow(`EMBEDDED_LEDGER_PATH`);
      expect(existsSync(own.path)).toBe(false);
    },
  );
});
