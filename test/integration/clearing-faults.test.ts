import { ConnectError } from "@connectrpc/connect";
import { afterAll, afterEach, beforeAll, expect, it, vi } from "vitest";
import { walletAccountId } from "#common/ledger/wallet-account.ts";
import { createPool, type Pool } from "#common/postgres/pool.ts";
import { reasonOf } from "#common/rpc/errors.ts";
import type { ClearRequest } from "../../services/clearing/core/clearing.ts";
import type { ClearingDeps } from "../../services/clearing/deps.ts";
import { reasonOfResult, startClearingProcess, toProto } from "../support/clearing/process.ts";
import {
  type ClearingWorld,
  chart,
  clearAll,
  clearOne,
  kindOf,
  operator,
  posting,
  refusalOf,
  resultOf,
  soon,
  startClearingWorld,
} from "../support/clearing/world.ts";
import { holdLedger } from "../support/ledger/hold.ts";
import { describeOnEngines } from "../support/ledger/tigerbeetle.ts";
import { startPostgres, type TestPostgres } from "../support/postgres/postgres.ts";
import { createTokenIssuer, type TokenIssuer } from "../support/rpc/token-issuer.ts";

/**
 * How long a call may take that meets a held part, in milliseconds: more if the machine needs that to get there. As long as
 * it does not get there, nothing is judged.
 */
const everLonger = [500, 3_000, 9_000, 30_000];

/** A batch that is under way when its Clearing is told to stop may take as long as the machine needs. */
const patientStop = { DRAIN_GRACE_MS: "100000" };

// Thousands of intents and starts of processes, which take minutes where the machine has little time for them.
vi.setConfig({ testTimeout: 300_000 });

// Goal: when a part is away, nothing is lost or doubled and the answer says what is known. Method: PostgreSQL and
// TigerBeetle are killed or stopped, SQLite and tables are locked, Clearing is killed with -9.
describeOnEngines("Clearing when parts fail", (engine) => {
  let postgres: TestPostgres;
  let world: ClearingWorld;
  let replica: ClearingDeps;
  let pool: Pool;
  let issuer: TokenIssuer;

  beforeAll(async () => {
    issuer = await createTokenIssuer();
    postgres = await startPostgres();
    world = await startClearingWorld(engine, postgres.databaseUrl, patientStop);
    replica = await world.openReplica();
    pool = createPool({ databaseUrl: postgres.databaseUrl, applicationName: "test" });
  });
  afterAll(async () => {
    await pool?.end();
    await world?.close();
    await postgres?.stop();
    issuer?.[Symbol.dispose]();
  });

  const stateOf = async (request: ClearRequest) =>
    (await replica.clearing.read(request.intent.intentId, operator, soon())).clearing.state;

  let release: () => void = () => {};
  afterEach(() => release());

  /** Keeps the ledger from writing until `release` is called, at the latest at the end of the test. */
  function hold(): void {
    release = holdLedger(world.engine);
  }

  /** Keeps evidence from being stored or read until the returned function is called. */
  async function holdEvidence(): Promise<() => Promise<void>> {
    const client = await pool.connect();
    await client.query("begin; lock table evidence in access exclusive mode");
    return async () => {
      await client.query("rollback");
      client.release();
    };
  }

  /** Whether somebody waits for what `holdEvidence` holds. */
  async function waitsForEvidence(): Promise<boolean> {
    const { rows } = await pool.query<{ waits: boolean }>(
      "select exists (select from pg_locks where relation = 'evidence'::regclass and not granted) as waits",
    );
    return rows[0]?.waits === true;
  }

  it("says NOT_SENT before the write, and means it", async () => {
    const key = await world.openFunded(replica, 1000n);
    const request = world.purchase(key, 350n);
    const releaseEvidence = await holdEvidence();
    let isUnderWay = false;
    for (const ms of everLonger) {
      expect((await refusalOf(replica, request, soon(ms))).kind).toBe("NOT_SENT");
      // It came as far as PostgreSQL, which has not given up: it is the deadline that was honoured.
      isUnderWay = await waitsForEvidence();
      if (isUnderWay) break;
    }
    await releaseEvidence();
    expect(isUnderWay).toBe(true);
    // Whatever was under way has ended once its evidence is there and a later call of the same kind has ended.
    await expect.poll(() => countEvidence([request])).toBe(1);
    await clearOne(replica, world.purchase(key, 1n));
    expect(await world.available(walletAccountId(key.address, 1))).toBe(999n);
    expect(await stateOf(request)).toBe("UNKNOWN");
    expect(await clearOne(replica, request)).toMatchObject({ state: "CLEARED", replayed: false });
  });

  it("says OUTCOME_UNKNOWN after the write, and a retry finds out", async () => {
    const key = await world.openFunded(replica, 1000n);
    const requests = [world.purchase(key, 350n), world.purchase(key, 250n)];
    hold();
    expect(await sendInVain(requests)).toEqual(["OUTCOME_UNKNOWN", "OUTCOME_UNKNOWN"]);
    release();
    for (const request of requests)
      expect((await clearOne(replica, request)).state).toBe("CLEARED");
    expect(await world.available(walletAccountId(key.address, 1))).toBe(400n);
  });

  it("records the reason of a failure that it learns too late", async () => {
    const key = await world.openFunded(replica, 100n);
    const request = world.purchase(key, 350n);
    hold();
    expect(await sendInVain([request])).toEqual(["OUTCOME_UNKNOWN"]);
    release();
    await expect.poll(() => stateOf(request)).toBe("FAILED");
    expect(await refusalOf(replica, request)).toMatchObject({
      kind: "INTENT_FAILED",
      metadata: { firstReason: "INSUFFICIENT_FUNDS" },
    });
  });

  it("drops what waits behind a silent ledger and is given up, and goes on when it is back", async () => {
    const key = await world.openFunded(replica, 1000n);
    hold();
    const left = new AbortController();
    const begin = async (size: number) => {
      const requests = Array.from({ length: size }, () => world.purchase(key, 1n));
      const limit = { ...soon(), signal: left.signal };
      const results = clearAll(replica, requests, limit);
      await expect.poll(() => countEvidence(requests)).toBe(size);
      return { requests, results };
    };
    // The first two requests go out and hang; what comes after them can only wait.
    await begin(10);
    await begin(10);
    const waiting = await begin(20);
    left.abort();
    expect(new Set((await waiting.results).map(kindOf))).toEqual(new Set(["NOT_SENT"]));
    release();
    await clearOne(replica, world.purchase(key, 1n));
    const states = await Promise.all(waiting.requests.map(stateOf));
    expect(new Set(states)).toEqual(new Set(["UNKNOWN"]));
  });

  it("refuses more than it may have under way, and takes again what has ended", async () => {
    const key = await world.openFunded(replica, 100_000n);
    const account = walletAccountId(key.address, 1);
    const legs = Array.from({ length: 64 }, () => posting(account, chart.milk, 1n, 2));
    // As many postings as may be under way in all calls together.
    const full = Array.from({ length: 1_024 }, () => world.purchase(key, 0n, { postings: legs }));
    const releaseEvidence = await holdEvidence();
    const filling = clearAll(replica, full);
    try {
      await expect(clearOne(replica, world.purchase(key, 1n))).rejects.toMatchObject({
        kind: "RATE_LIMITED",
        metadata: { limit: "65536" },
        retryAfterMs: 200,
      });
      // Batches are cleared elsewhere, but count.
      expect(() => replica.clearing.reserve(1)).toThrow("too many postings");
    } finally {
      await releaseEvidence();
    }
    expect(new Set((await filling).map(kindOf))).toEqual(new Set(["CLEARED"]));
    const ended = replica.clearing.reserve(65_536);
    await expect(clearOne(replica, world.purchase(key, 1n))).rejects.toThrow("too many postings");
    ended(65_536);
    expect((await clearOne(replica, world.purchase(key, 1n))).state).toBe("CLEARED");
    expect(await world.available(account)).toBe(100_000n - 65_536n - 1n);
  });

  it("counts what a call gives up as ended", async () => {
    const key = await world.openFunded(replica, 1_000n);
    const account = walletAccountId(key.address, 1);
    const legs = Array.from({ length: 64 }, () => posting(account, chart.milk, 1n, 2));
    const full = Array.from({ length: 1_024 }, () => world.purchase(key, 0n, { postings: legs }));
    const results = await clearAll(replica, full, soon(-1));
    expect(new Set(results.map(kindOf))).toEqual(new Set(["NOT_SENT"]));
    const releaseEvidence = await holdEvidence();
    try {
      const late = await clearAll(replica, full, soon(100));
      expect(new Set(late.map(kindOf))).toEqual(new Set(["NOT_SENT"]));
      await new Promise((resolve) => setImmediate(resolve));
      // All are out of the way but those that PostgreSQL or other threads have got: 704 of 1024 at most.
      const next = await clearAll(replica, full.slice(0, 300), soon(100));
      expect(new Set(next.map(kindOf))).toEqual(new Set(["NOT_SENT"]));
    } finally {
      await releaseEvidence();
    }
    // What PostgreSQL has got already ends by itself.
    await expect
      .poll(() => clearAll(replica, full.slice(0, 1)).then(([result]) => kindOf(result)))
      .toBe("CLEARED");
  });

  it("clears nothing while PostgreSQL is down, and goes on by itself when it is back", async () => {
    const key = await world.openFunded(replica, 1000n);
    const before = world.purchase(key, 1n);
    const first = await clearOne(replica, before);
    await postgres.kill();
    for (let attempt = 0; attempt < 5; attempt += 1) {
      expect(["RECORDS_UNAVAILABLE", "NOT_SENT"]).toContain(
        (await refusalOf(replica, world.purchase(key, 100n), soon(2_000))).kind,
      );
    }
    expect(await world.available(walletAccountId(key.address, 1))).toBe(999n);
    await postgres.restart();
    const request = world.purchase(key, 100n);
    await expect.poll(async () => kindOf(await resultOf(replica, request))).toBe("CLEARED");
    expect(await world.available(walletAccountId(key.address, 1))).toBe(899n);
    expect(await clearOne(replica, before)).toEqual({ ...first, replayed: true });
  });

  it("killed with -9 between evidence and ledger, a retry clears once", async () => {
    const key = await world.openFunded(replica, 1000n);
    const requests = Array.from({ length: 5 }, (_, i) => world.purchase(key, BigInt(i + 1)));
    const first = await startClearingProcess(world, issuer);
    // From now on it knows the accounts and does not ask the ledger before it stores evidence.
    await first.client.clear(toProto(world.purchase(key, 1n)));
    hold();
    const calls = requests.map((request) =>
      first.client.clear(toProto(request), { timeoutMs: 60_000 }).catch((error) => error),
    );
    await expect.poll(() => countEvidence(requests)).toBe(requests.length);
    await first.kill();
    release();
    for (const answer of await Promise.all(calls)) expect(answer).toBeInstanceOf(ConnectError);

    const second = await startClearingProcess(world, issuer);
    const answers = await Promise.all(
      requests.map((request) => second.client.clear(toProto(request))),
    );
    expect(answers.map(({ clearing }) => clearing?.intentId)).toEqual(
      requests.map(({ intent }) => intent.intentId),
    );
    expect(await world.available(walletAccountId(key.address, 1))).toBe(984n);
    const again = await second.client.clear(toProto(requests[0] ?? world.purchase(key, 1n)));
    expect(again.clearing).toMatchObject({ replayed: true, cursor: answers[0]?.clearing?.cursor });
    expect(await second.stop()).toBe(0);
  });

  it("the caller's deadline is honoured over the wire", async () => {
    const running = await startClearingProcess(world, issuer);
    for (const timeoutMs of everLonger) {
      const key = await world.openFunded(replica, 1000n);
      // A first call, so that the next one's time is not spent on connecting, nor on looking for accounts.
      await running.client.clear(toProto(world.purchase(key, 1n)));
      const request = world.purchase(key, 350n);
      hold();
      const error: unknown = await running.client
        .clear(toProto(request), { timeoutMs })
        .catch((caught) => caught);
      release();
      const reason = error instanceof ConnectError ? reasonOf(error) : "no refusal";
      // Where the machine is slow it did not come as far as the ledger, or the client's own clock was first, which gives no
      // reason. Once more then, with another intent: this one may still be under way.
      if ([undefined, "NOT_SENT"].includes(reason) && timeoutMs !== everLonger.at(-1)) continue;
      expect(reason).toBe("OUTCOME_UNKNOWN");
      const { clearing } = await running.client.clear(toProto(request));
      expect(clearing?.intentId).toBe(request.intent.intentId);
      expect(await world.available(walletAccountId(key.address, 1))).toBe(649n);
      break;
    }
    expect(await running.stop()).toBe(0);
  });

  it("tells of each intent of a batch what a deadline left of it", async () => {
    const running = await startClearingProcess(world, issuer);
    const times = [4_000, 10_000, 30_000];
    for (const timeoutMs of times) {
      const key = await world.openFunded(replica, 1000n);
      const requests = Array.from({ length: 600 }, () => world.purchase(key, 1n));
      const batch = { requests: requests.map(toProto) };
      const reasons = async (limitMs: number) => {
        const { results } = await running.client.clearBatch(batch, { timeoutMs: limitMs });
        return results.map(reasonOfResult);
      };
      // Its threads know the accounts from here on.
      await running.client.clearBatch({ requests: requests.slice(0, 1).map(toProto) });
      hold();
      const late = await reasons(timeoutMs).catch(() => undefined);
      release();
      // On a machine that is busy nothing may have come as far as the ledger; on one that stands still the client's own
      // clock may be first, which tells of no intent. Once more then, with others: these may still be under way.
      if (!late?.includes("OUTCOME_UNKNOWN") && timeoutMs !== times.at(-1)) continue;
      expect(late).toHaveLength(600);
      expect(new Set(late)).toEqual(new Set(["OUTCOME_UNKNOWN", "NOT_SENT"]));
      expect(new Set(await reasons(60_000))).toEqual(new Set(["CLEARED"]));
      expect(await world.available(walletAccountId(key.address, 1))).toBe(400n);
      break;
    }
    expect(await running.stop()).toBe(0);
  });

  it("told to stop in the middle of a batch, it finishes it, or leaves it for a retry when told twice", async () => {
    const key = await world.openFunded(replica, 10_000n);
    const begin = async (requests: readonly ClearRequest[], more: readonly ClearRequest[]) => {
      const running = await startClearingProcess(world, issuer);
      const batch = { requests: [...requests, ...more].map(toProto) };
      const answer = running.client.clearBatch(batch, { timeoutMs: 100_000 }).then(
        ({ results }) => results.map(reasonOfResult),
        (error: unknown) => error,
      );
      await expect.poll(() => countEvidence(requests), { interval: 5 }).toBeGreaterThan(0);
      return { running, answer };
    };
    const requests = Array.from({ length: 3_000 }, () => world.purchase(key, 1n));
    const cut = await begin(requests, []);
    const stopped = cut.running.stop();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await Promise.all([stopped, cut.running.stop()])).toEqual([0, 0]);
    // On a fast machine it may be through.
    const whatItSaid = await cut.answer;
    if (!(whatItSaid instanceof ConnectError)) expect(whatItSaid).toHaveLength(3_000);

    const others = Array.from({ length: 500 }, () => world.purchase(key, 1n));
    const whole = await begin(others, requests);
    expect(await whole.running.stop()).toBe(0);
    expect(await whole.answer).toEqual(Array(3_500).fill("CLEARED"));
    expect(await world.available(walletAccountId(key.address, 1))).toBe(6_500n);
  });

  /** Clears while the ledger is held, with ever more time until the requests have come as far as the ledger. */
  async function sendInVain(requests: readonly ClearRequest[]): Promise<string[]> {
    let kinds: string[] = [];
    for (const ms of everLonger) {
      kinds = (await clearAll(replica, requests, soon(ms))).map(kindOf);
      if (!kinds.includes("NOT_SENT")) break;
    }
    return kinds;
  }

  async function countEvidence(requests: readonly ClearRequest[]): Promise<number> {
    const found = await pool.query<{ count: string }>(
      "select count(*) from evidence where intent_id = any($1::uuid[])",
      [requests.map(({ intent }) => intent.intentId)],
    );
    return Number(found.rows[0]?.count);
  }
});
