// Goal: an audit names whatever the records know of and the ledger has lost, once each, and nothing that never was in it.
// Method: a Clearing in this process writes; the tests then take the ledger back, or tell the records by SQL what never
// happened. What is lost for ever in a shared ledger stays known to the tests after it.
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { transferRows } from "#common/ledger/transfer-rows.ts";
import { migrateAtStart } from "#common/postgres/migrate.ts";
import { createPool, type Pool } from "#common/postgres/pool.ts";
import { openClient } from "#common/tigerbeetle/open-client.ts";
import { formatTransfer } from "#common/tigerbeetle/transfer-codec.ts";
import type { AuditResult } from "../../cli/audit/audit-ledger.ts";
import { auditConfig } from "../../cli/audit/config.ts";
import type { Finding } from "../../cli/audit/finding.ts";
import { runAudit } from "../../cli/audit/run.ts";
import { summaryText } from "../../cli/audit/text.ts";
import { runProgram } from "../../cli/command/run-program.ts";
import { readSettings } from "../../cli/state/settings.ts";
import { migrations } from "../../services/checkout/drivers/postgres/store.ts";
import type { ClearRequest } from "../../services/clearing/core/clearing.ts";
import type { ClearingDeps } from "../../services/clearing/deps.ts";
import { insertSold, type Sold } from "../support/checkout/sold.ts";
import {
  ClearingWorld,
  chart,
  clearOne,
  posting,
  refusalOf,
  type TestKey,
} from "../support/clearing/world.ts";
import { insertEvidence } from "../support/intents/seed.ts";
import { keepCopy, putBack, whileShut } from "../support/ledger/files.ts";
import { describeOnEngines } from "../support/ledger/tigerbeetle.ts";
import { runMeshCommand } from "../support/mesh/mesh.ts";
import { openDatabase } from "../support/postgres/database.ts";
import type { TestDatabase } from "../support/postgres/postgres.ts";
import { nodeEnvironment } from "../support/process/node-environment.ts";

interface Audited extends AuditResult {
  readonly findings: readonly Finding[];
}

describeOnEngines("./mesh audit of the records", (engine) => {
  let records: TestDatabase;
  let pool: Pool;
  let world: ClearingWorld;

  const open = async () => {
    records = await openDatabase();
    pool = createPool({ databaseUrl: records.databaseUrl, applicationName: "test" });
    world = new ClearingWorld(await engine.start(), records.databaseUrl);
  };
  const close = async () => {
    await pool?.end();
    await world?.close();
    await records?.stop();
  };

  const audit = async (checkpointFile?: string): Promise<Audited> => {
    const findings: Finding[] = [];
    const result = await runAudit(auditConfig(world.environment()), {
      findingsMax: 100,
      onFinding: (finding) => findings.push(finding),
      onProgress: () => undefined,
      checkpointFile,
    });
    expect(findings.length).toBe(result.findingCount);
    return { ...result, findings };
  };

  /** Findings as their kinds and intents, or the transfer's id; sorted, for ids of one millisecond have no order. */
  const told = (findings: readonly Finding[]) =>
    findings
      .map(({ kind, intentId, transfer }) => `${kind} ${intentId ?? transfer?.id ?? ""}`)
      .sort();

  const idOf = ({ intent }: ClearRequest) => intent.intentId;
  const sold = (request: ClearRequest, how: Sold) => insertSold(pool, request, how);
  const house = (amount: bigint, draft: Partial<ClearRequest["intent"]> = {}) =>
    world.attest(
      world.intent({ postings: [posting(chart.cash, chart.stripe, amount, 10)], ...draft }),
    );
  /** An intent that expired long ago. */
  const past = (amount: bigint) => {
    const now = BigInt(Math.floor(Date.now() / 1_000));
    return house(amount, { issueTime: now - 4_000n, expireTime: now - 400n });
  };

  describe("in a ledger that is whole", () => {
    let replica: ClearingDeps;
    let key: TestKey;
    /** What earlier tests of this ledger left. */
    let known: readonly string[];
    let last: readonly string[] = [];

    beforeAll(async () => {
      await open();
      replica = await world.openReplica();
      key = await world.openFunded(replica, 100n);
    });
    beforeEach(() => {
      known = last;
    });
    afterAll(close);

    /** What an audit finds that no earlier test left. */
    const news = async (): Promise<Audited> => {
      const result = await audit();
      const keyOf = (finding: Finding) => told([finding]).join();
      last = result.findings.map(keyOf);
      return {
        ...result,
        findings: result.findings.filter((each) => !known.includes(keyOf(each))),
      };
    };

    it("tells what is alive, failed or was never written, and finds nothing wrong, without Checkout's tables", async () => {
      await insertEvidence(pool, past(1n));
      await insertEvidence(pool, house(2n));
      const refused = await refusalOf(replica, world.purchase(key, 1_000n));
      expect(refused.kind).toBe("INSUFFICIENT_FUNDS");
      const late = await refusalOf(replica, past(3n));
      expect(late.kind).toBe("INTENT_EXPIRED");
      const result = await audit();
      expect(summaryText(result)).toBe(
        "1 transfers, 0 unattested, 0 altered, balanced; 5 evidence, 0 lost, 2 failed, 1 alive, 1 never written; 0 orders, 0 lost",
      );
      expect(result.findingCount).toBe(0);
    });

    it("finds an order that cleared and whose intent has no transfers, and its evidence", async () => {
      await migrateAtStart(records.databaseUrl, "checkout", migrations);
      const paid = world.purchase(key, 7n);
      const { commitTimestamp } = await clearOne(replica, paid);
      await sold(paid, { orderId: "A-1", commitTimestamp });
      expect((await news()).findings).toEqual([]);

      const lost = past(5n);
      await insertEvidence(pool, lost);
      await sold(lost, { orderId: "A-2", commitTimestamp });
      const { findings, ...result } = await news();
      expect(told(findings)).toEqual(
        [`TRANSFERS_LOST ${idOf(lost)}`, `ORDER_LOST ${idOf(lost)}`].sort(),
      );
      expect(findings[1]).toMatchObject({
        order: { merchantId: "market-1", orderId: "A-2" },
        detail: expect.stringMatching(/^order A-2 of market-1 .* its transfers are not there$/),
      });
      expect(summaryText(result)).toMatch(/, 1 lost, .*; 2 orders, 1 lost$/);
    });

    it("finds orders that are cleared by their state alone, without evidence, or otherwise than told", async () => {
      const commitTimestamp = 1n;
      const byState = house(1n);
      await sold(byState, { orderId: "A-3", attemptState: "PENDING" });
      const unproved = house(2n);
      await sold(unproved, { orderId: "A-4", commitTimestamp });
      const again = world.purchase(key, 1n);
      await clearOne(replica, again);
      await sold(again, { orderId: "A-5", commitTimestamp });
      const dead = world.purchase(key, 2n);
      await clearOne(replica, dead);
      await sold(dead, { orderId: "A-6", orderState: "FAILED", attemptState: "DEAD" });
      expect(told((await news()).findings)).toEqual(
        [
          `ORDER_LOST ${idOf(byState)}`,
          `ORDER_LOST ${idOf(unproved)}`,
          `ORDER_ALTERED ${idOf(again)}`,
          `ORDER_ALTERED ${idOf(dead)}`,
        ].sort(),
      );
    });

    it("finds a reservation that somebody came too late for, and an intent that is dead and has cleared", async () => {
      const pending = past(3n);
      const resolving = world.resolve(pending.intent, "VOID_PENDING", pending.intent.postings);
      const cleared = house(4n);
      await insertEvidence(pool, pending);
      await insertEvidence(pool, resolving);
      await clearOne(replica, cleared);
      await pool.query(
        `insert into clearing_failure (intent_id, reason, metadata)
         values ($1, 'PENDING_EXPIRED', '{}'), ($2, 'INSUFFICIENT_FUNDS', '{}')`,
        [idOf(resolving), idOf(cleared)],
      );
      const { findings } = await news();
      expect(told(findings)).toEqual(
        [`TRANSFERS_LOST ${idOf(pending)}`, `CLEARED_THOUGH_FAILED ${idOf(cleared)}`].sort(),
      );
      const lost = findings.find(({ kind }) => kind === "TRANSFERS_LOST");
      expect(lost?.detail).toContain(`intent ${idOf(resolving)} failed with PENDING_EXPIRED`);
    });

    it("counts foreign rows as the ledger's fault, and no evidence as lost for them", async () => {
      const client = await openClient(world.engine.config);
      const taken = house(9n);
      await insertEvidence(pool, taken);
      const [row] = transferRows(taken.intent, taken.attestation.digest).map(formatTransfer);
      if (row === undefined) throw new Error("an intent without rows");
      // A stranger's transfer under the id of its leg.
      await client.createTransfers([{ ...row, user_data_128: 5n }]);
      client.destroy();
      const { findings, evidenceCounts } = await news();
      expect(told(findings)).toEqual([`NO_EVIDENCE ${row.id}`]);
      expect(evidenceCounts.inPart).toBe(1);
    });

    it("lists no more than it was told to, and says how many there are", async () => {
      const command = await runMeshCommand(
        readSettings({}),
        { ...process.env, ...world.environment() },
        ["audit", "--findings", "2"],
      );
      const lines = command.stdout.trimEnd().split("\n");
      expect([command.code, lines.length]).toEqual([1, 4]);
      expect(lines[2]).toMatch(/^… and [0-9]+ more findings/);
      expect(lines[3]).toMatch(
        /transfers, .* evidence, 2 lost, .* orders, 3 lost, 2 contradicted$/,
      );
    });

    it.skipIf(engine.name !== "embedded")(
      "names the row that was taken out of the middle",
      async () => {
        const { engine: own } = world.engine.config;
        if (own.kind !== "embedded") return;
        // Accounts that never move again, and rows after it: neither the mark nor a later sum tells.
        const other = await world.openFunded(replica, 50n);
        const cut = world.purchase(other, 20n);
        const { commitTimestamp } = await clearOne(replica, cut);
        await clearOne(replica, house(1n));
        await world.closeReplica(replica);
        // The engine that was closed may still be bringing in its indexes.
        const file = new DatabaseSync(own.path, { timeout: 60_000 });
        const { changes } = file
          .prepare("delete from transfers where timestamp = ?")
          .run(commitTimestamp);
        file.close();
        expect(changes).toBe(1);
        const { findings } = await news();
        expect(findings.map(({ kind }) => kind)).toEqual([
          "BALANCE_DIFFERS",
          "BALANCE_DIFFERS",
          "TRANSFERS_LOST",
        ]);
        expect(findings[2]?.intentId).toBe(idOf(cut));
      },
    );
  });

  describe("in a ledger that was put back", () => {
    // TigerBeetle's smallest file is a gigabyte, and is copied here.
    const patienceMs = 300_000;
    let folder: string;
    let file: string;
    beforeEach(async () => {
      folder = mkdtempSync(join(tmpdir(), "sovr-audit-"));
      file = join(folder, "checkpoint.json");
      await open();
    }, patienceMs);
    afterEach(async () => {
      await close();
      rmSync(folder, { recursive: true, force: true });
    });

    // TigerBeetle's smallest file is a gigabyte, and is copied here.
    const patience = { timeout: 300_000 };
    it(
      "names each intent and order that it has lost, until somebody adopts it",
      patience,
      async () => {
        await migrateAtStart(records.databaseUrl, "checkout", migrations);
        let replica = await world.openReplica();
        const key = await world.openFunded(replica, 100n);
        await insertEvidence(pool, past(1n));
        await world.closeReplica(replica);
        await whileShut(world.engine, keepCopy);

        replica = await world.openReplica();
        const lost = [1n, 2n, 3n].map((amount) => world.purchase(key, amount));
        const [ordered] = lost;
        if (ordered === undefined) return;
        for (const request of lost) {
          const { commitTimestamp } = await clearOne(replica, request);
          if (request === ordered) await sold(request, { orderId: "A-1", commitTimestamp });
        }
        await world.closeReplica(replica);
        expect((await audit(file)).findings).toEqual([]);
        const checkpoint = readFileSync(file, "utf8");

        await whileShut(world.engine, putBack);
        const intents = lost.map((request) => `TRANSFERS_LOST ${idOf(request)}`);
        const order = `ORDER_LOST ${idOf(ordered)}`;
        const before = await audit();
        expect(told(before.findings)).toEqual(["LEDGER_DIFFERS ", ...intents, order].sort());
        expect(before.findings[0]?.kind).toBe("LEDGER_DIFFERS");
        expect(summaryText(before)).toBe(
          "1 transfers, 0 unattested, 0 altered, not the records' ledger, balanced; 5 evidence, 3 lost, 1 never written; 1 orders, 1 lost",
        );
        // A checkpoint vouches for nothing in it, and outlives it.
        const differs = "LEDGER_DIFFERS ";
        const anew = await audit(file);
        expect(told(anew.findings)).toEqual([differs, differs, ...intents, order].sort());
        expect(anew.findings[1]?.detail).toContain("by its checkpoint");
        expect(readFileSync(file, "utf8")).toBe(checkpoint);

        const adopted = await runProgram(process.execPath, ["cli/ledger.ts", "adopt", "--yes"], {
          env: { ...process.env, ...nodeEnvironment(), ...world.environment() },
          timeoutMs: 60_000,
        });
        expect(adopted.code, adopted.output).toBe(0);
        const after = await audit(file);
        expect(after).toMatchObject({
          findings: [],
          evidenceCounts: { cleared: 1, givenUp: 3, neverWritten: 1, lost: 0 },
          givenUp: [{ evidence: 3, orderIntents: 1 }],
        });
        expect(summaryText(after)).toMatch(
          /; 1 orders, 0 lost; given up by adoption at 20.*Z: 3 evidence, 1 of orders$/,
        );
        // What was given up may clear again, and then is there.
        replica = await world.openReplica();
        for (const request of lost) await clearOne(replica, request);
        expect(await audit(file)).toMatchObject({
          findings: [],
          evidenceCounts: { cleared: 4, givenUp: 0 },
          givenUp: [],
        });
      },
    );

    it.skipIf(engine.name !== "embedded")(
      "that is not there at all finds everything lost, and makes no file",
      async () => {
        const { engine: own } = world.engine.config;
        if (own.kind !== "embedded") return;
        const empty = await audit();
        expect(summaryText(empty)).toBe(
          "0 transfers, 0 unattested, 0 altered, balanced; 0 evidence, 0 lost; 0 orders, 0 lost",
        );
        expect([empty.findingCount, existsSync(own.path)]).toEqual([0, false]);
        const replica = await world.openReplica();
        const request = house(5n);
        await clearOne(replica, request);
        await world.closeReplica(replica);
        await whileShut(world.engine, (file) => rmSync(file, { force: true }));
        const { findings } = await audit();
        expect(told(findings)).toEqual(
          ["LEDGER_DIFFERS ", `TRANSFERS_LOST ${idOf(request)}`].sort(),
        );
        expect(findings[0]?.detail).toMatch(/does not have it: it is empty.*\.\/mesh ledger adopt/);
        expect(existsSync(own.path)).toBe(false);
      },
    );
  });
});
