import { ConnectError } from "@connectrpc/connect";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { asError } from "#common/domain-error.ts";
import { walletAccountId } from "#common/ledger/wallet-account.ts";
import { createPool, type Pool } from "#common/postgres/pool.ts";
import { reasonOf } from "#common/rpc/errors.ts";
import { newUuidV7 } from "#common/uuid.ts";
import type { ClearRequest } from "../../services/clearing/core/clearing.ts";
import type { ClearingDeps } from "../../services/clearing/deps.ts";
import { reasonOfResult, startClearingProcess, toProto } from "../support/clearing/process.ts";
import {
  type ClearingWorld,
  clearAll,
  kindOf,
  newKey,
  operator,
  resultOf,
  soon,
  startClearingWorld,
  type TestKey,
} from "../support/clearing/world.ts";
import { holdLedger } from "../support/ledger/hold.ts";
import { describeOnEngines } from "../support/ledger/tigerbeetle.ts";
import { startPostgres, type TestPostgres } from "../support/postgres/postgres.ts";
import { createTokenIssuer, type TokenIssuer } from "../support/rpc/token-issuer.ts";

/** What may become of an intent that was sent to a silent ledger: the embedded engine gives up after ten seconds. */
const endsOfSent = new Set(["CLEARED", "OUTCOME_UNKNOWN"]);
const mayEnd = new Set([...endsOfSent, "LEDGER_UNAVAILABLE"]);

// Goal: once the ledger is silent nobody waits for it, and what was refused was not sent. Method: TigerBeetle is stopped, the
// embedded engine's file is locked, while calls are under way that have a minute; who is refused within it did not wait.
// Then it goes on, and the ledger is asked.
describeOnEngines("Clearing before a silent ledger", (engine) => {
  let postgres: TestPostgres;
  let world: ClearingWorld;
  let replica: ClearingDeps;
  let pool: Pool;
  let issuer: TokenIssuer;
  let key: TestKey;

  beforeAll(async () => {
    issuer = await createTokenIssuer();
    postgres = await startPostgres();
    world = await startClearingWorld(engine, postgres.databaseUrl, { LEDGER_SILENCE_MS: "2000" });
    replica = await world.openReplica();
    pool = createPool({ databaseUrl: postgres.databaseUrl, applicationName: "test" });
    key = await world.openFunded(replica, 100_000n);
  });
  afterAll(async () => {
    await pool?.end();
    await world?.close();
    await postgres?.stop();
    issuer?.[Symbol.dispose]();
  });

  let release: () => void = () => {};
  afterEach(() => release());

  const available = () => world.available(walletAccountId(key.address, 1));
  const purchases = (count: number) => Array.from({ length: count }, () => world.purchase(key, 1n));
  const clear = (request: ClearRequest) => resultOf(replica, request).then(kindOf);

  async function evidenceOf(requests: readonly ClearRequest[]): Promise<number> {
    const found = await pool.query<{ count: string }>(
      "select count(*) from evidence where intent_id = any($1::uuid[])",
      [requests.map(({ intent }) => intent.intentId)],
    );
    return Number(found.rows[0]?.count);
  }

  it("refuses what was not sent, stores nothing of what comes, and goes on by itself", async () => {
    const before = await available();
    const now = BigInt(Math.floor(world.nowMs() / 1000));
    const late = world.purchase(key, 1n, { issueTime: now - 100n, expireTime: now - 50n });
    release = holdLedger(world.engine);
    const early: ClearRequest[] = [];
    const ends: Promise<string>[] = [];
    let refused = 0;
    const onEnd = (kind: string) => {
      if (kind === "LEDGER_UNAVAILABLE") refused += 1;
      return kind;
    };
    // The first groups go out and hang; what comes after them waits in Clearing until the breaker opens.
    for (let group = 0; group < 4; group += 1) {
      const requests = purchases(3);
      early.push(...requests);
      ends.push(...requests.map((request) => clear(request).then(onEnd)));
      await eventually(async () => refused > 0 || (await evidenceOf(requests)) === 3);
    }
    await eventually(() => refused > 0);

    const more = purchases(20);
    const calls: (() => Promise<string>)[] = [
      () => clear(late),
      () => clear({ ...late, validateOnly: true }),
      () => refusalOf(replica.clearing.openWallet(newKey().address, 1, operator, soon())),
      () => refusalOf(replica.clearing.read(late.intent.intentId, operator, soon())),
      ...more.map((request) => () => clear(request)),
    ];
    for (const call of calls) expect(await call()).toBe("LEDGER_UNAVAILABLE");
    const list = (await clearAll(replica, more)).map(kindOf);
    expect(new Set(list)).toEqual(new Set(["LEDGER_UNAVAILABLE"]));
    expect(await evidenceOf([...more, late])).toBe(0);

    release();
    const ended = await Promise.all(ends);
    expect(mayEnd.union(new Set(ended))).toEqual(mayEnd);
    const next = world.purchase(key, 1n);
    await eventually(async () => (await clear(next)) === "CLEARED");
    const sent = early.filter((_, index) => endsOfSent.has(ended[index] ?? ""));
    for (const request of sent) expect(await clear(request)).toBe("CLEARED");
    expect(await available()).toBe(before - BigInt(sent.length) - 1n);
  });

  it("tells each intent of a batch the truth, and the threads' silence holds for single calls too", async () => {
    const running = await startClearingProcess(world, issuer);
    const { client } = running;
    try {
      const requests = purchases(600);
      // The threads, and the service itself, know the accounts from here on.
      await client.clearBatch({ requests: requests.slice(0, 1).map(toProto) });
      await client.clear(toProto(world.purchase(key, 1n)));
      const before = await available();
      release = holdLedger(world.engine);
      let ended = false;
      const batch = client
        .clearBatch({ requests: requests.slice(1).map(toProto) }, { timeoutMs: 120_000 })
        .then(({ results }) => results.map(reasonOfResult))
        // Refused whole, where the breaker was open before it came.
        .catch((error) => Array<string>(599).fill(reasonIn(error)))
        .finally(() => {
          ended = true;
        });
      await eventually(async () => ended || (await evidenceOf(requests)) > 1);
      const intentId = newUuidV7();
      const read = () => refusalOf(client.getClearing({ intentId }));
      await eventually(async () => (await read()) === "LEDGER_UNAVAILABLE");
      const single = world.purchase(key, 1n);
      const limit = { timeoutMs: 60_000 };
      const alone = refusalOf(client.clear(toProto(single), limit));
      const listed = refusalOf(client.clearBatch({ requests: [toProto(single)] }, limit));
      expect([await alone, await listed]).toEqual(["LEDGER_UNAVAILABLE", "LEDGER_UNAVAILABLE"]);
      expect(await evidenceOf([single])).toBe(0);

      release();
      const ends = await batch;
      expect(ends).toHaveLength(599);
      expect(mayEnd.union(new Set(ends))).toEqual(mayEnd);
      const refused = requests.slice(1).filter((_, i) => ends[i] === "LEDGER_UNAVAILABLE");
      // Four slices set out at once, of 128 each.
      expect(refused.length).toBeGreaterThanOrEqual(599 - 512);
      const isCleared = () =>
        client.clear(toProto(single)).then(
          () => true,
          () => false,
        );
      await eventually(isCleared);
      // Nothing of those had moved: each is cleared now, for the first time.
      const again = await client.clearBatch({ requests: refused.map(toProto) });
      const replayed = again.results.map(
        ({ outcome }) => outcome.case === "clearing" && outcome.value.replayed,
      );
      expect(replayed).toEqual(refused.map(() => false));
      const { results } = await client.clearBatch({ requests: requests.map(toProto) });
      expect(new Set(results.map(reasonOfResult))).toEqual(new Set(["CLEARED"]));
      expect(await available()).toBe(before - 600n);
    } finally {
      release();
      await running.stop();
    }
  });
});

function reasonIn(error: unknown): string {
  return error instanceof ConnectError
    ? (reasonOf(error) ?? error.message)
    : kindOf(asError(error));
}

/** The reason for which a call was refused. */
function refusalOf(call: Promise<unknown>): Promise<string> {
  return call.then(() => "no refusal", reasonIn);
}

/** Waits until something is so, for as long as a machine under load may take. */
function eventually(isSo: () => boolean | Promise<boolean>): Promise<void> {
  return expect.poll(isSo, { timeout: 50_000 }).toBe(true);
}
