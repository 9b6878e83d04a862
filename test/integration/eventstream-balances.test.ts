// Goal: watched balances are those of whole events at one instant, the newest always arrives, and what expires is
// released at its instant. Method: random histories on real engines against a model of committed transfers alone.
import { setTimeout as sleep } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, expect, test } from "vitest";
import { classOfCode, classRules } from "#common/ledger/chart.ts";
import { everyone } from "#common/ledger/visibility.ts";
import { walletAccountId } from "#common/ledger/wallet-account.ts";
import { reasonOf } from "#common/rpc/errors.ts";
import { parseCursor } from "#common/wire/cursor.ts";
import type {
  WatchBalancesRequestSchema,
  WatchBalancesResponse,
} from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import type { Balance } from "#gen/sovr/ledger/v1/balance_pb.ts";
import {
  type EventStreamWorld,
  type Replica,
  startEventStreamWorld,
} from "../support/eventstream/world.ts";
import {
  alice,
  bob,
  chart,
  funding,
  houseIntentOf,
  intentOf,
  purchase,
  testKey,
  usd,
} from "../support/intents/intents.ts";
import { createRandom, writeRandomHistory } from "../support/intents/random-history.ts";
import { LedgerModel, type ModelSums } from "../support/ledger/ledger-model.ts";
import { describeOnEngines } from "../support/ledger/tigerbeetle.ts";

type Client = ReturnType<Replica["connect"]>;

const clusterId = 7n;
const wallets = [alice.address, bob.address, testKey(3).address];
const aliceUsd = walletAccountId(alice.address, usd);
const watched = [chart.cash, chart.milk, aliceUsd, walletAccountId(bob.address, usd)];
/** Change it to see another history. */
const randomSeed = 20_261_125;

describeOnEngines("WatchBalances", (engine) => {
  let world: EventStreamWorld;
  let replica: Replica;
  const model = new LedgerModel();

  beforeAll(async () => {
    world = await startEventStreamWorld(engine, clusterId);
    await world.seed.openWallets(wallets);
    // Nobody sends notifications here.
    replica = await world.open({ limits: { pollMs: 10 } });
    model.add(
      await world.seed.clear(houseIntentOf({ postings: [funding(alice.address, 100_000n)] })),
    );
  });

  afterAll(() => world?.stop());

  /** Watches until told to stop, taking a message only every `pauseMs`. */
  function watch(accountIds: readonly bigint[], pauseMs = 0) {
    const messages: WatchBalancesResponse[] = [];
    const controller = new AbortController();
    const run = async () => {
      try {
        const request = { accountIds: accountIds.map(String) };
        const stream = replica.connect().watchBalances(request, { signal: controller.signal });
        for await (const message of stream) {
          messages.push(message);
          if (pauseMs > 0) await sleep(pauseMs);
        }
      } catch (error) {
        if (!controller.signal.aborted) throw error;
      }
    };
    const ended = run();
    // Whoever stops it hears of an error; until then it is no unhandled one.
    ended.catch(() => undefined);
    return {
      messages,
      stop: () => {
        controller.abort();
        return ended;
      },
    };
  }

  function expectModel(balance: Balance, instant: bigint): void {
    const sums = sumsOf(balance);
    // The legs of a reservation, three at most here, run out a nanosecond apart but as one event: at the last.
    const isInside = model.instants.some((at) => at === instant || at === instant - 1n);
    const instants = isInside ? [instant, instant - 1n, instant - 2n] : [instant];
    const expected = instants.map((at) => model.sumsAt(BigInt(balance.accountId), at));
    expect(expected, `${balance.accountId} at ${instant}`).toContainEqual(sums);
    const isAsset = classRules[classOfCode(balance.accountId === "1000002" ? 11 : 20) ?? "CASH"];
    const side = isAsset.type === "ASSET" ? 1n : -1n;
    expect(BigInt(balance.posted)).toBe(side * (sums.debitsPosted - sums.creditsPosted));
    expect(BigInt(balance.available)).toBe(BigInt(balance.posted) - BigInt(balance.pendingOut));
  }

  test("shows every balance at its instant over a random history, to quick and slow ones", async () => {
    const quick = watch(watched);
    const slow = watch(watched, 150);
    const random = createRandom(randomSeed);
    await writeRandomHistory({
      seed: world.seed,
      model,
      random,
      wallets,
      durationMs: 4_000,
      chainsMin: 200,
      pauseMsMax: 5,
    });
    // Until all that runs out has: what is reserved for a time only becomes less now.
    const end = model.instants.reduce((last, at) => (at > last ? at : last), 0n);
    await expect
      .poll(() => latestOf(quick.messages).map(sumsOf))
      .toEqual(watched.map((id) => model.sumsAt(id, end)));
    await Promise.all([quick.stop(), slow.stop()]);
    for (const { messages } of [quick, slow]) {
      expect(messages[0]?.balances.map(({ accountId }) => accountId)).toEqual(watched.map(String));
      const latest = new Map<string, Balance>();
      for (const { balances, cursor } of messages) {
        const { timestamp } = parseCursor(cursor, clusterId, "cursor");
        for (const balance of balances) latest.set(balance.accountId, balance);
        // Also those that were not told again: nothing that changed up to the cursor was left out.
        for (const balance of latest.values()) expectModel(balance, timestamp);
      }
    }
  });

  test("gathers changes while nobody asks", async () => {
    const { signal } = new AbortController();
    const balances = await replica.deps.stream.watchBalances({
      accountIds: [aliceUsd],
      viewer: everyone,
      keepAliveMs: 60_000,
      ends: { signal, drain: signal, endsAtMs: Date.now() + 60_000, endsBecause: "max_age" },
    });
    await balances.next();
    let last = 0n;
    for (let index = 0; index < 20; index += 1) {
      const seeded = await world.seed.clear(houseIntentOf());
      model.add(seeded);
      last = seeded.timestamps[0] ?? 0n;
    }
    await expect.poll(() => replica.deps.stream.hub.head.timestamp > last).toBe(true);
    const changes = await balances.next();
    balances.close();
    expect(changes.position.timestamp).toBeGreaterThanOrEqual(last);
    expect(changes.balances).toMatchObject([model.sumsAt(aliceUsd, last)]);
  });

  test("starts right while the account is busy", async () => {
    let isWriting = true;
    const write = async () => {
      while (isWriting) {
        const hold = { phase: "PENDING", timeoutSeconds: 1 } as const;
        const postings = [purchase(alice.address, 1n), purchase(alice.address, 2n)];
        for (const seeded of await world.seed.clearAll([
          intentOf({ postings }),
          intentOf({ ...hold, postings }),
        ])) {
          model.add(seeded);
        }
      }
    };
    const writing = write();
    const watches = [];
    for (let index = 0; index < 10; index += 1) {
      watches.push(watch([aliceUsd, chart.milk]));
      await sleep(120);
    }
    isWriting = false;
    await writing;
    for (const { messages, stop } of watches) {
      await stop();
      for (const { balances, cursor } of messages) {
        const { timestamp } = parseCursor(cursor, clusterId, "cursor");
        for (const balance of balances) expectModel(balance, timestamp);
      }
    }
  });

  test("refuses accounts that do not exist, or are another's", async () => {
    const requests: [Client, MessageInitShape<typeof WatchBalancesRequestSchema>, string][] = [
      [replica.connect(), { accountIds: ["4711"] }, "ACCOUNT_NOT_FOUND"],
      [replica.connect(), { wallets: [testKey(9).address], ledger: usd }, "ACCOUNT_NOT_FOUND"],
      [
        replica.connect({ wallet: bob.address }),
        { wallets: [alice.address], ledger: usd },
        "ACCOUNT_NOT_FOUND",
      ],
      [replica.connect(), {}, "INVALID_FIELD"],
    ];
    for (const [client, request, reason] of requests) {
      const first = client
        .watchBalances(request)
        [Symbol.asyncIterator]()
        .next()
        .catch((error) => reasonOf(ConnectError.from(error)));
      await expect(first).resolves.toBe(reason);
    }
  });

  test("goes on after it fell behind the ring", async () => {
    const small = await world.open({ limits: { ringEventsMax: 4 } });
    const stream = small.connect().watchBalances({ accountIds: [aliceUsd.toString()] });
    const messages = stream[Symbol.asyncIterator]();
    await messages.next();
    // More than transport and ring can hold while nobody asks.
    let last = 0n;
    for (let index = 0; index < 40; index += 1) {
      const intents = Array.from({ length: 20 }, () => houseIntentOf());
      for (const seeded of await world.seed.clearAll(intents)) {
        model.add(seeded);
        last = seeded.timestamps[0] ?? 0n;
      }
    }
    for (;;) {
      const { value, done } = await messages.next();
      if (done === true) throw new Error("the stream ended");
      const { timestamp } = parseCursor(value.cursor, clusterId, "cursor");
      for (const balance of value.balances) expectModel(balance, timestamp);
      if (timestamp >= last) break;
    }
    await messages.return?.();
    await small.stop();
  });
});

/** What was told last of each account, in the order of the first message. */
function latestOf(messages: readonly WatchBalancesResponse[]): Balance[] {
  const told = messages.flatMap(({ balances }) => balances);
  return [...new Map(told.map((balance) => [balance.accountId, balance])).values()];
}

function sumsOf(balance: Balance): ModelSums {
  return {
    debitsPosted: BigInt(balance.debitsPosted),
    creditsPosted: BigInt(balance.creditsPosted),
    debitsPending: BigInt(balance.debitsPending),
    creditsPending: BigInt(balance.creditsPending),
  };
}
