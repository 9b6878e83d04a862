// Goal: the one read port answers alike on both engines, and tells an outage from a fault of ours.
import type { Client } from "tigerbeetle-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DomainError } from "#common/domain-error.ts";
import { chartAccounts } from "#common/ledger/chart.ts";
import { createLedgerReaders } from "#common/ledger/drivers/tigerbeetle.ts";
import { endOfTime, type LedgerReader, type Range } from "#common/ledger/reader.ts";
import { walletAccountId } from "#common/ledger/wallet-account.ts";
import { openClient } from "#common/tigerbeetle/open-client.ts";
import { readOnlyClient } from "#common/tigerbeetle/read-only-client.ts";
import { u128Max } from "#common/u128.ts";
import { alice, chart, funding, houseIntentOf, usd } from "../support/intents/intents.ts";
import { createSeed } from "../support/intents/seed.ts";
import { describeOnEngines, type RunningEngine } from "../support/ledger/tigerbeetle.ts";

const limits = { readTimeoutMs: 10_000, waitingMax: 8, retryAfterMs: 750 };
const everything: Range = { from: 1n, to: endOfTime, limit: 200 };
const aliceId = walletAccountId(alice.address, usd);

describeOnEngines("the reader of the ledger", (engine) => {
  let running: RunningEngine;
  let client: Client;
  let reader: LedgerReader;
  let answers = 0;
  /** Of the transfers, oldest first: two from CASH and one from STRIPE_SETTLEMENT between them. */
  const timestamps: bigint[] = [];

  beforeAll(async () => {
    running = await engine.start();
    client = await openClient(running.config);
    reader = createLedgerReaders(readOnlyClient(client), {
      ...limits,
      batchMax: running.config.batchMax,
      onAnswer: () => {
        answers += 1;
      },
    })();
    const seed = createSeed(client, undefined);
    await seed.openChart();
    await seed.openWallets([alice.address]);
    for (const source of [chart.cash, chart.stripe, chart.cash]) {
      const postings = [funding(alice.address, 100n, source)];
      timestamps.push(...(await seed.clear(houseIntentOf({ postings }))).timestamps);
    }
  });

  afterAll(async () => {
    client?.destroy();
    await running?.stop();
  });

  const times = (rows: readonly { readonly timestamp: bigint }[]) =>
    rows.map(({ timestamp }) => timestamp);

  test("lists transfers to the end of time, of all or of an account, in either direction", async () => {
    expect(times(await reader.listTransfers("any", everything))).toEqual(timestamps);
    expect(times(await reader.newestTransfers("any", everything))).toEqual(timestamps.toReversed());
    const ofCash = { accountId: chart.cash };
    const [first = 0n, middle = 0n, last = 0n] = timestamps;
    expect(times(await reader.listTransfers(ofCash, everything))).toEqual([first, last]);
    expect(times(await reader.newestTransfers(ofCash, everything))).toEqual([last, first]);
    const upToMiddle = { ...everything, to: middle };
    expect(times(await reader.newestTransfers("any", upToMiddle))).toEqual([middle, first]);
    expect(times(await reader.newestTransfers("any", { ...upToMiddle, limit: 1 }))).toEqual([
      middle,
    ]);
  });

  test("lists nothing in a range that is empty, and asks nothing for it", async () => {
    const before = answers;
    for (const range of [
      { from: 2n, to: 1n, limit: 1 },
      { from: 1n, to: 0n, limit: 1 },
    ]) {
      expect(await reader.listTransfers("any", range)).toEqual([]);
      expect(await reader.newestTransfers({ accountId: aliceId }, range)).toEqual([]);
      expect(await reader.listAccounts("any", range)).toEqual([]);
    }
    expect(answers).toBe(before);
  });

  test("lists accounts with the wallet that holds them", async () => {
    const accounts = await reader.listAccounts("any", everything);
    expect(accounts).toHaveLength(chartAccounts.length + 1);
    expect(accounts.filter(({ wallet }) => wallet !== "")).toEqual([
      expect.objectContaining({ id: aliceId, wallet: alice.address, closed: false }),
    ]);
    expect((await reader.findAccounts([aliceId, 7n])).get(aliceId)).toEqual(accounts.at(-1));
  });

  test("passes a fault of ours as it is: no outage, nothing to retry", async () => {
    const malformed = [
      () => reader.listTransfers("any", { ...everything, from: -1n }),
      () => reader.newestTransfers({ accountId: -1n }, everything),
      () => reader.listAccounts({ code: 2 ** 20 }, everything),
      () => reader.findTransfers([u128Max + 1n]),
    ];
    for (const ask of malformed) {
      const fault = await ask().catch((error: unknown) => error);
      expect(fault, String(ask)).toBeInstanceOf(Error);
      expect(fault, String(ask)).not.toBeInstanceOf(DomainError);
    }
    // And it goes on answering.
    expect(await reader.listTransfers("any", everything)).toHaveLength(3);
  });

  test("is LEDGER_UNAVAILABLE when its client is closed", async () => {
    const other = readOnlyClient(await openClient(running.config));
    const { batchMax } = running.config;
    const closed = createLedgerReaders(other, { ...limits, batchMax })();
    await closed.clusterTime();
    other.destroy();
    for (const ask of [
      () => closed.clusterTime(),
      () => closed.findAccounts([aliceId]),
      () => closed.newestBalances(aliceId, everything),
    ]) {
      await expect(ask()).rejects.toMatchObject({
        kind: "LEDGER_UNAVAILABLE",
        retryAfterMs: limits.retryAfterMs,
      });
    }
  });
});
