import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { transferRows } from "#common/ledger/transfer-rows.ts";
import { walletAccountId } from "#common/ledger/wallet-account.ts";
import { createPool, type Pool } from "#common/postgres/pool.ts";
import { unwatchedLine } from "#common/tigerbeetle/ledger-breaker.ts";
import { openClient } from "#common/tigerbeetle/open-client.ts";
import { Attempt } from "../../services/clearing/core/attempt.ts";
import type { ClearRequest } from "../../services/clearing/core/clearing.ts";
import type { ClearingLedger } from "../../services/clearing/core/ports.ts";
import type { ClearingDeps } from "../../services/clearing/deps.ts";
import { createEvidenceStore } from "../../services/clearing/drivers/postgres.ts";
import { createClearingLedger } from "../../services/clearing/drivers/tigerbeetle.ts";
import {
  type ClearingWorld,
  chart,
  clearOne,
  kindOf,
  newKey,
  operator,
  posting,
  refusalOf,
  resultOf,
  soon,
  startClearingWorld,
} from "../support/clearing/world.ts";
import { describeOnEngines } from "../support/ledger/tigerbeetle.ts";
import { openDatabase } from "../support/postgres/database.ts";
import type { TestDatabase } from "../support/postgres/postgres.ts";

const hoursMs = 3_600_000;

// Goal: an intent that is refused for being too late can never clear, so that a successor is safe; one that cleared
// in time is answered for ever. Method: replicas whose clocks differ, on one ledger and one PostgreSQL.
describeOnEngines("Clearing too late", (engine) => {
  let records: TestDatabase;
  let world: ClearingWorld;
  let onTime: ClearingDeps;
  let late: ClearingDeps;
  let ledger: ClearingLedger;
  let closeLedger: () => void;
  let pool: Pool;

  beforeAll(async () => {
    records = await openDatabase();
    world = await startClearingWorld(engine, records.databaseUrl);
    onTime = await world.openReplica();
    late = await world.openReplica({ nowMs: () => world.nowMs() + 2 * hoursMs });
    const client = await openClient(world.engine.config);
    const { batchMax } = world.engine.config;
    ledger = createClearingLedger({
      writer: client,
      reader: client,
      lines: { writer: unwatchedLine, reader: unwatchedLine },
      batchMax,
      onAnswer() {},
      onCommit() {},
    });
    pool = createPool({ databaseUrl: records.databaseUrl, applicationName: "test" });
    closeLedger = () => client.destroy();
  });
  afterAll(async () => {
    closeLedger?.();
    await pool?.end();
    await world?.close();
    await records?.stop();
  });

  /** What a process leaves behind that dies between evidence and ledger. */
  const storeEvidenceOnly = (request: ClearRequest) =>
    createEvidenceStore(pool, () => {}).store(request, new Attempt());

  it("answers what cleared in time with the first result", async () => {
    const key = await world.openFunded(onTime, 1000n);
    const request = world.purchase(key, 350n);
    const first = await clearOne(onTime, request);
    expect(await clearOne(late, request)).toEqual({ ...first, replayed: true });
    // Without a checkpoint of any kind: also when only a look may be taken.
    const validated = await clearOne(late, { ...request, validateOnly: true });
    expect(validated).toEqual({ ...first, replayed: true });
  });

  it("kills what did not, before it says so", async () => {
    const key = await world.openFunded(onTime, 1000n);
    const request = world.purchase(key, 350n);
    const refusal = await refusalOf(late, request);
    expect(refusal).toMatchObject({
      kind: "INTENT_EXPIRED",
      metadata: { intentId: request.intent.intentId },
    });
    expect(await refusalOf(onTime, request)).toMatchObject({
      kind: "INTENT_FAILED",
      metadata: { firstReason: "INTENT_EXPIRED" },
    });
    expect((await refusalOf(late, request)).kind).toBe("INTENT_EXPIRED");
    const { clearing } = await onTime.clearing.read(request.intent.intentId, operator, soon());
    expect(clearing).toMatchObject({ state: "FAILED", failure: { reason: "INTENT_EXPIRED" } });
    expect(await world.available(walletAccountId(key.address, 1))).toBe(1000n);
  });

  it("kills nothing when it only validates", async () => {
    const key = await world.openFunded(onTime, 1000n);
    const request = world.purchase(key, 350n);
    expect((await refusalOf(late, { ...request, validateOnly: true })).kind).toBe("INTENT_EXPIRED");
    expect((await clearOne(onTime, request)).replayed).toBe(false);
  });

  it("never kills another intent that owns the id", async () => {
    const key = await world.openFunded(onTime, 1000n);
    const poor = await world.openFunded(onTime, 0n);
    const { issueTime } = world.intent({ postings: [] });
    const owner = world.purchase(key, 100n, { expireTime: issueTime + 80_000n });
    const squatter = world.purchase(poor, 100n, { intentId: owner.intent.intentId });
    await storeEvidenceOnly(owner);
    expect((await refusalOf(late, squatter)).kind).toBe("INTENT_ID_REUSED");
    expect((await clearOne(late, owner)).replayed).toBe(false);
    expect((await refusalOf(late, squatter)).kind).toBe("INTENT_ID_REUSED");
  });

  it("agrees with a write that races it, whoever wins", async () => {
    const key = await world.openFunded(onTime, 100_000n);
    const seen = new Set<string>();
    for (let round = 0; round < 60; round += 1) {
      const postings = Array.from({ length: 1 + (round % 3) }, () =>
        posting(walletAccountId(key.address, 1), chart.milk, 1n, 2),
      );
      const request = world.purchase(key, 1n, { postings });
      const order = round % 2 === 0 ? [onTime, late] : [late, onTime];
      const results = await Promise.all(order.map((replica) => resultOf(replica, request)));
      const [inTime, tooLate] = (round % 2 === 0 ? results : results.toReversed()).map(kindOf);
      seen.add(`${inTime}, ${tooLate}`);
    }
    for (const pair of seen)
      expect(["CLEARED, CLEARED", "INTENT_FAILED, INTENT_EXPIRED"]).toContain(pair);
  });

  describe("the fence", () => {
    const draft = (legs: number) => {
      const postings = Array.from({ length: legs }, () =>
        posting(chart.cash, chart.instacart, 1n, 9),
      );
      const intent = world.intent({ postings });
      // No digest: rows of Clearing's that lack their evidence would stop the next start.
      return transferRows(intent, `0x${"00".repeat(32)}`);
    };

    it.each([1, 2, 64])("kills a chain of %i legs that is written after it", async (legs) => {
      const rows = draft(legs);
      const id = rows[0]?.id ?? 0n;
      expect(await ledger.fence(id, new Attempt())).toBe("DEAD");
      expect(await ledger.fence(id, new Attempt())).toBe("DEAD");
      expect(await ledger.write(rows, new Attempt())).toEqual({ kind: "ALREADY_FAILED" });
      expect(await ledger.find(rows, new Attempt())).toEqual({ kind: "NONE" });
    });

    it.each([1, 2, 64])("finds a chain of %i legs that was written before it", async (legs) => {
      const rows = draft(legs);
      const written = await ledger.write(rows, new Attempt());
      expect(written.kind).toBe("CREATED");
      expect(await ledger.fence(rows[0]?.id ?? 0n, new Attempt())).toBe("TAKEN");
      expect(await ledger.write(rows, new Attempt())).toEqual({ kind: "EXISTS" });
      expect(await ledger.find(rows, new Attempt())).toMatchObject({ kind: "ALL" });
      const other = rows.map((row) => ({ ...row, userData64: row.userData64 ^ 1n }));
      expect(await ledger.write(other, new Attempt())).toEqual({ kind: "OTHER_CONTENT" });
      expect(await ledger.find(other, new Attempt())).toEqual({ kind: "OTHER" });
    });

    it("in one request with the chain, each order ends in one of the two", async () => {
      for (let round = 0; round < 20; round += 1) {
        const rows = draft(2);
        const id = rows[0]?.id ?? 0n;
        const write = () => ledger.write(rows, new Attempt());
        const fence = () => ledger.fence(id, new Attempt());
        const [outcome, fenced] =
          round % 2 === 0
            ? await Promise.all([write(), fence()])
            : (await Promise.all([fence(), write()])).toReversed();
        expect([outcome, fenced]).toEqual(
          round % 2 === 0
            ? [{ kind: "CREATED", timestamp: expect.any(BigInt) }, "TAKEN"]
            : [{ kind: "ALREADY_FAILED" }, "DEAD"],
        );
      }
    });
  });

  describe("with a signer that was revoked", () => {
    it("kills what did not clear, and answers what did", async () => {
      const key = await world.openFunded(onTime, 1000n);
      const cleared = world.purchase(key, 100n);
      const first = await clearOne(onTime, cleared);
      const stored = world.purchase(newKey(), 100n);
      const fresh = world.purchase(key, 100n);
      expect((await refusalOf(onTime, stored)).kind).toBe("ACCOUNT_NOT_FOUND");

      await world.closeReplica(late);
      world.writeSigners({ revokeTime: "2020-01-02T00:00:00Z" });
      const strict = await world.openReplica();
      try {
        expect(await clearOne(strict, cleared)).toEqual({ ...first, replayed: true });
        expect(await refusalOf(strict, fresh)).toMatchObject({
          kind: "SIGNER_NOT_TRUSTED",
          metadata: { signer: world.signer.address, state: "REVOKED" },
        });
        // What the revoked key signed is no evidence.
        await expect(
          strict.clearing.read(fresh.intent.intentId, operator, soon()),
        ).rejects.toMatchObject({ kind: "INTENT_NOT_FOUND" });
      } finally {
        world.writeSigners({});
        await world.closeReplica(strict);
      }
      // A replica that trusts the signer still, or again, cannot bring it back.
      const trusting = await world.openReplica();
      // Nothing was recorded of it, for it was no evidence then: for a minute nobody can tell that no reason will follow.
      expect((await refusalOf(trusting, fresh)).kind).toBe("OUTCOME_UNKNOWN");
      expect(await world.available(walletAccountId(key.address, 1))).toBe(900n);
    });
  });
});
