// Goal: every sum that the Ledger tells is that of one instant, to the last unit, whatever happens meanwhile.
// Method: random histories on a real engine, with reservations that are posted, voided and left to expire, held
// against a model that knows nothing but the committed transfers.
import type { Client } from "tigerbeetle-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Balance } from "#common/ledger/balance.ts";
import { chartAccountId, chartAccounts, walletClassId } from "#common/ledger/chart.ts";
import { createLedgerReaders } from "#common/ledger/drivers/tigerbeetle.ts";
import type { BalanceRecord, LedgerReader } from "#common/ledger/reader.ts";
import { createReservations } from "#common/ledger/reservations.ts";
import { isWalletAccountId, walletAccountId } from "#common/ledger/wallet-account.ts";
import { openClient } from "#common/tigerbeetle/open-client.ts";
import { readOnlyClient } from "#common/tigerbeetle/read-only-client.ts";
import { createPageTokens } from "#common/wire/page-token.ts";
import { getBalances } from "../../services/ledger/balances.ts";
import { type LedgerView, viewLedger } from "../../services/ledger/ledger.ts";
import { getStatement } from "../../services/ledger/statement.ts";
import { listTransfers } from "../../services/ledger/transfers.ts";
import { getTrialBalance, type TrialBalance } from "../../services/ledger/trial-balance.ts";
import { alice, bob, chart, testKey, usd } from "../support/intents/intents.ts";
import { createRandom, writeRandomHistory } from "../support/intents/random-history.ts";
import { createSeed, type Seed } from "../support/intents/seed.ts";
import { LedgerModel, type ModelSums } from "../support/ledger/ledger-model.ts";
import { describeOnEngines, type RunningEngine } from "../support/ledger/tigerbeetle.ts";

const wallets = [alice.address, bob.address, testKey(3).address, testKey(4).address];
const walletIds = wallets.map((wallet) => walletAccountId(wallet, usd));
const usdChartIds = chartAccounts.filter(({ ledger }) => ledger === usd).map(({ id }) => id);
const accountIds = [...usdChartIds, ...walletIds];
const longTest = { timeout: 120_000 };
const selectors = accountIds.map((accountId) => ({ accountId }));
/** Change it to see another history. */
const randomSeed = 20_261_124;

describeOnEngines("the sums of the Ledger", (engine) => {
  let running: RunningEngine;
  let client: Client;
  let seed: Seed;
  let view: LedgerView;
  const model = new LedgerModel();
  const random = createRandom(randomSeed);

  beforeAll(async () => {
    running = await engine.start();
    client = await openClient(running.config);
    seed = createSeed(client, undefined);
    await seed.openChart();
    await seed.openWallets(wallets);
    view = viewOf(client, running.config.batchMax);
    await writeRandomHistory({ seed, model, random, wallets, durationMs: 5_000, pauseMsMax: 4 });
  });

  afterAll(async () => {
    client?.destroy();
    await running?.stop();
  });

  /** Instants at which something happened. The model knows already when what is reserved will expire; a read does not. */
  async function pastInstants(count: number): Promise<bigint[]> {
    const now = await view.reader.clusterTime();
    return sample(
      random,
      model.instants.filter((at) => at < now),
      count,
    );
  }

  async function expectModelAt(instant: bigint): Promise<void> {
    const balances = await getBalances(view, selectors, instant);
    expect(balances.map(sumsOf), `at ${instant}`).toEqual(
      accountIds.map((id) => model.sumsAt(id, instant)),
    );
    for (const balance of balances) expect(balance.asOf).toBe(instant);
  }

  test("are the model's at, before and after every kind of event", longTest, async () => {
    const around = (await pastInstants(80)).flatMap((at) => [at - 1n, at, at + 1n]);
    for (const instant of around) await expectModelAt(instant);
  });

  test("stand on the account's normal side", async () => {
    const balances = await getBalances(view, selectors, undefined);
    for (const balance of balances) {
      const liability = [20, 40].includes(balance.account.code);
      const [inward, outward] = liability
        ? (["credits", "debits"] as const)
        : (["debits", "credits"] as const);
      expect(balance.posted).toBe(balance[`${inward}Posted`] - balance[`${outward}Posted`]);
      expect(balance.pendingIn).toBe(balance[`${inward}Pending`]);
      expect(balance.pendingOut).toBe(balance[`${outward}Pending`]);
      expect(balance.available).toBe(balance.posted - balance.pendingOut);
    }
  });

  test("add up in the trial balance, with all wallets in one line", {
    timeout: 120_000,
  }, async () => {
    const now = await view.reader.clusterTime();
    for (const instant of [...(await pastInstants(40)), now]) {
      expectTrialBalance(await getTrialBalance(view, usd, instant), model);
    }
  });

  test("follow each other in a statement, page by page", async () => {
    const ends = (await pastInstants(6)).toSorted((a, b) => (a < b ? -1 : 1));
    const [from = 0n, , , , , to = 0n] = ends;
    for (const accountId of [chart.milk, chart.stripe, ...walletIds]) {
      const moved = model.rows.filter(
        (row) =>
          row.timestamp >= from &&
          row.timestamp < to &&
          (row.debitAccountId === accountId || row.creditAccountId === accountId) &&
          (row.phase === "IMMEDIATE" || row.phase === "POST_PENDING"),
      );
      const lines: bigint[] = [];
      let balance = posted(accountId, model.sumsAt(accountId, from - 1n));
      for (let pageToken = ""; ; ) {
        const page = { pageSize: 7, pageToken };
        const statement = await getStatement(view, accountId, { from, to }, page);
        expect(statement.openingBalance).toBe(
          posted(accountId, model.sumsAt(accountId, from - 1n)),
        );
        expect(statement.closingBalance).toBe(posted(accountId, model.sumsAt(accountId, to - 1n)));
        expect(statement.to).toBe(to);
        for (const line of statement.lines) {
          balance += line.change;
          expect(line.balance).toBe(balance);
          lines.push(line.transfer.timestamp);
        }
        pageToken = statement.nextPageToken;
        if (pageToken === "") break;
      }
      expect(lines).toEqual(moved.map((row) => row.timestamp));
      expect(balance).toBe(posted(accountId, model.sumsAt(accountId, to - 1n)));
    }
  });

  test("list every transfer once, in commit order, for every filter", async () => {
    const filters = [
      {},
      { code: 2 },
      { accountId: chart.milk },
      { accountId: walletIds[0], code: 1 },
      { code: 9 },
    ];
    for (const filter of filters) {
      const expected = model.rows.filter(
        (row) =>
          (filter.code === undefined || row.code === filter.code) &&
          (filter.accountId === undefined ||
            row.debitAccountId === filter.accountId ||
            row.creditAccountId === filter.accountId),
      );
      const all = { accountId: filter.accountId, code: filter.code };
      const listed: bigint[] = [];
      for (let pageToken = ""; ; ) {
        const page = await listTransfers(view, all, { pageSize: 100, pageToken });
        expect(page.items.length).toBeLessThanOrEqual(100);
        listed.push(...page.items.map((row) => row.id));
        pageToken = page.nextPageToken;
        if (pageToken === "") break;
      }
      expect(listed).toEqual(expected.map((row) => row.id));
    }
  });

  describe("while three writers clear", () => {
    test("balance in every trial balance, and are one instant's", {
      timeout: 120_000,
    }, async () => {
      const options = { seed, model, random, wallets, durationMs: 4_000, pauseMsMax: 0 };
      const trials: TrialBalance[] = [];
      const batches: Balance[][] = [];
      const write = async () => {
        // On a slow machine it takes more than one history until enough was read.
        do await writeRandomHistory(options);
        while (trials.length <= 10);
      };
      let writing = true;
      const writers = Promise.all([1, 2, 3].map(write)).finally(() => {
        writing = false;
      });
      while (writing) {
        trials.push(await getTrialBalance(view, usd, undefined));
        batches.push(await getBalances(view, selectors, undefined));
      }
      await writers;
      for (const trial of trials) expectBalanced(trial);
      for (const trial of sample(random, trials, 40)) expectTrialBalance(trial, model);
      for (const balances of sample(random, batches, 40)) {
        const asOf = balances[0]?.asOf ?? 0n;
        expect(balances.map(sumsOf)).toEqual(accountIds.map((id) => model.sumsAt(id, asOf)));
      }
    });

    test(
      "are exact where the engine's own rows still hold what has expired",
      longTest,
      async () => {
        // TigerBeetle releases expired reservations some milliseconds late, and neither engine between the events of
        // one batch. How often a row falls there is a matter of luck; reservations.test.ts does it on purpose.
        const late: bigint[] = [];
        for (const accountId of accountIds) {
          for (const row of await newestRows(view.reader, accountId)) {
            const sums = model.sumsAt(accountId, row.timestamp);
            const isLate =
              row.debitsPending !== sums.debitsPending ||
              row.creditsPending !== sums.creditsPending;
            if (isLate) late.push(row.timestamp);
          }
        }
        for (const instant of sample(random, late, 60)) await expectModelAt(instant);
      },
    );
  });
});

async function newestRows(reader: LedgerReader, accountId: bigint): Promise<BalanceRecord[]> {
  const range = { from: 1n, to: await reader.clusterTime(), limit: Math.min(500, reader.rowsMax) };
  return reader.newestBalances(accountId, range);
}

function viewOf(client: Client, batchMax: number): LedgerView {
  const limits = { readTimeoutMs: 4_000, waitingMax: 65_536, retryAfterMs: 1_000 };
  const reader = createLedgerReaders(readOnlyClient(client), { ...limits, batchMax });
  const evidence = {
    byIntentId: () => Promise.resolve(undefined),
    byPrefixes: () => Promise.resolve(new Map()),
  };
  const { signal } = new AbortController();
  const pageTokens = createPageTokens("ledger/0", "postgres://localhost/sovr");
  const reservations = createReservations();
  return viewLedger({ pageTokens, reader, evidence, reservations }, { wallet: undefined }, signal);
}

function sample<T>(random: () => number, items: readonly T[], count: number): T[] {
  return Array.from({ length: count }, () => items[Math.floor(random() * items.length)]).filter(
    (item) => item !== undefined,
  );
}

function sumsOf(sums: ModelSums): ModelSums {
  const { debitsPosted, creditsPosted, debitsPending, creditsPending } = sums;
  return { debitsPosted, creditsPosted, debitsPending, creditsPending };
}

/** On the account's normal side. */
function posted(accountId: bigint, sums: ModelSums): bigint {
  const isLiability = isWalletAccountId(accountId) || accountId === chart.milk;
  const difference = sums.creditsPosted - sums.debitsPosted;
  return isLiability ? difference : -difference;
}

function expectBalanced({ asOf, totals }: TrialBalance): void {
  expect(totals.debitsPosted, `posted at ${asOf}`).toBe(totals.creditsPosted);
  expect(totals.debitsPending, `pending at ${asOf}`).toBe(totals.creditsPending);
}

function expectTrialBalance(trial: TrialBalance, model: LedgerModel): void {
  const { asOf } = trial;
  expectBalanced(trial);
  expect(trial.accountCount).toBe(BigInt(accountIds.length));
  const expected = new Map(usdChartIds.map((id) => [id, model.sumsAt(id, asOf)]));
  const ofWallets = walletIds.map((id) => model.sumsAt(id, asOf));
  const sum = (key: keyof ModelSums) => ofWallets.reduce((total, sums) => total + sums[key], 0n);
  expected.set(chartAccountId(walletClassId, usd), {
    debitsPosted: sum("debitsPosted"),
    creditsPosted: sum("creditsPosted"),
    debitsPending: sum("debitsPending"),
    creditsPending: sum("creditsPending"),
  });
  const ids = [...expected.keys()].toSorted((a, b) => (a < b ? -1 : 1));
  expect(trial.lines.map((line) => line.accountId)).toEqual(ids);
  for (const line of trial.lines) {
    expect(sumsOf(line), `${line.name} at ${asOf}`).toEqual(expected.get(line.accountId));
  }
}
