// Goal: the stream keeps its promises on both engines. Method: a real ledger, real records and the real service over
// gRPC; what subscribers recorded is held against a full scan of the ledger, one validator per promise.

import { setTimeout as sleep } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { CreateTransferStatus, type Transfer, TransferFlags } from "tigerbeetle-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { walletAccountId } from "#common/ledger/wallet-account.ts";
import { clearedChannel } from "#common/postgres/evidence.ts";
import { createLogger } from "#common/process/logger.ts";
import { reasonOf } from "#common/rpc/errors.ts";
import { clusterTime } from "#common/tigerbeetle/cluster-time.ts";
import { formatTransfer } from "#common/tigerbeetle/transfer-codec.ts";
import { formatCursor } from "#common/wire/cursor.ts";
import { formatNanoseconds } from "#common/wire/timestamps.ts";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import {
  type Event,
  type EventFilterSchema,
  EventType,
} from "#gen/sovr/eventstream/v1/event_pb.ts";
import { defaultLimits } from "../../services/eventstream/serve/event-stream.ts";
import type { TrueEvent } from "../support/eventstream/truth.ts";
import {
  eventsOf,
  isAfter,
  placeOf,
  validateComplete,
  validateStreams,
} from "../support/eventstream/validators.ts";
import {
  type EventStreamWorld,
  type Recorder,
  type Replica,
  record,
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
  transfer,
  usd,
} from "../support/intents/intents.ts";
import { createRandom, writeRandomHistory } from "../support/intents/random-history.ts";
import { LedgerModel } from "../support/ledger/ledger-model.ts";
import { describeOnEngines } from "../support/ledger/tigerbeetle.ts";

const clusterId = 0n;
const aliceUsd = walletAccountId(alice.address, usd);
const earliest = { start: { case: "earliest", value: true } } as const;
const cursorStart = (value: string) => ({ start: { case: "cursor", value } }) as const;
const wallets = [alice.address, bob.address, testKey(3).address];
/** Change it to see another history. */
const randomSeed = 20_261_124;

describeOnEngines("EventStream", (engine) => {
  let world: EventStreamWorld;
  let replica: Replica;

  beforeAll(async () => {
    world = await startEventStreamWorld(engine, clusterId);
    await world.seed.openWallets(wallets);
    for (const wallet of wallets) {
      await world.seed.clear(houseIntentOf({ postings: [funding(wallet, 1_000_000n)] }));
    }
    replica = await world.open();
  });

  afterAll(() => world?.stop());

  const bundle = () =>
    intentOf({
      postings: [
        purchase(alice.address, 350n, chart.milk),
        purchase(alice.address, 250n, chart.eggs),
        purchase(alice.address, 150n, chart.bread),
      ],
    });
  const hold = (timeoutSeconds: number) =>
    intentOf({
      phase: "PENDING",
      timeoutSeconds,
      postings: [purchase(alice.address, 7n, chart.milk), purchase(alice.address, 8n, chart.eggs)],
    });

  /** Waits until a stream has told the last of the events that a scan now finds, and ends it. Returns that scan. */
  async function finish(recorder: Recorder): Promise<TrueEvent[]> {
    const truth = await world.truth();
    const last = truth.at(-1)?.eventId;
    await recorder.until((messages) => eventsOf(messages).some(({ eventId }) => eventId === last));
    await recorder.stop();
    return truth;
  }

  /** What a stream that was started from a message's cursor must tell. */
  function after(truth: readonly TrueEvent[], cursor: string | undefined): TrueEvent[] {
    const start = placeOf(cursor ?? "", clusterId);
    return truth.filter(({ place }) => isAfter(place, start));
  }

  test("opens at once, then tells what is cleared", async () => {
    const live = record(replica.connect());
    await live.until((messages) => messages.length === 1);
    const seeded = await world.seed.clear(bundle());
    const truth = await finish(live);

    validateStreams([live], { clusterId, truth, matching: after(truth, live.messages[0]?.cursor) });
    const [event] = eventsOf(live.messages);
    expect(event).toMatchObject({
      type: EventType.CLEARED,
      intentId: seeded.intent.intentId,
      digest: seeded.attestation.digest,
      wallet: alice.address,
      merchantId: "market-1",
      reference: "A-17",
      corrects: "",
      commitTime: formatNanoseconds(seeded.timestamps[2] ?? 0n),
      attested: true,
    });
    expect(event?.transfers.map(({ leg, legs }) => [leg, legs])).toEqual([
      [0, 3],
      [1, 3],
      [2, 3],
    ]);
  });

  test("tells everything from the beginning, accounts first", async () => {
    const all = record(replica.connect(), earliest);
    const truth = await finish(all);
    validateStreams([all], { clusterId, truth, matching: truth });
    const [first] = eventsOf(all.messages);
    expect(first).toMatchObject({ type: EventType.ACCOUNT_OPENED, attested: false, wallet: "" });
    expect(first?.account?.name).toBe("SYSTEM_RESERVE");
  });

  test("goes on from every cursor that it gave out, and from inside a chain", async () => {
    const all = record(replica.connect(), earliest);
    const truth = await finish(all);
    const client = replica.connect();
    const step = Math.ceil(all.messages.length / 8);
    for (const { cursor } of all.messages.filter((_, index) => index % step === 0)) {
      const resumed = record(client, cursorStart(cursor));
      await resumed.until((messages) => messages.length > after(truth, cursor).length);
      await resumed.stop();
      validateStreams([resumed], { clusterId, truth, matching: after(truth, cursor) });
    }
    const chain = truth.findLast(({ transfers }) => transfers.length === 3);
    const timestamp = chain?.transfers[0]?.timestamp ?? 0n;
    const cursor = formatCursor(clusterId, { timestamp, kind: "COMMIT", pendingTimestamp: 0n });
    const inside = record(client, cursorStart(cursor));
    await inside.until((messages) => messages.length > after(truth, cursor).length);
    await inside.stop();
    validateStreams([inside], { clusterId, truth, matching: after(truth, cursor) });
    expect(eventsOf(inside.messages)[0]?.transfers).toHaveLength(3);
  });

  test("starts at the first event at or after a time", async () => {
    const truth = await world.truth();
    const client = replica.connect();
    for (const [shift, expected] of [
      [0n, 2],
      [1n, 1],
    ] as const) {
      const from = truth.at(-2)?.place[0] ?? 0n;
      const since = record(client, {
        start: { case: "sinceTime", value: formatNanoseconds(from + shift) },
      });
      await since.until((messages) => eventsOf(messages).length === expected);
      await since.stop();
      expect(eventsOf(since.messages).map(({ eventId }) => eventId)).toEqual(
        truth.slice(-expected).map(({ eventId }) => eventId),
      );
    }
    const ancient = record(client, {
      start: { case: "sinceTime", value: timestampFromDate(new Date(-1)) },
    });
    const all = await finish(ancient);
    validateStreams([ancient], { clusterId, truth: all, matching: all });
  });

  test("refuses what it cannot start from", async () => {
    const client = replica.connect();
    const now = await clusterTime(world.client);
    const future = { timestamp: now + 3_600_000_000_000n, kind: "COMMIT", pendingTimestamp: 0n };
    const refusals = [
      [cursorStart("AAAA"), Code.InvalidArgument, "CURSOR_INVALID"],
      [
        cursorStart(formatCursor(7n, { timestamp: 1n, kind: "COMMIT", pendingTimestamp: 0n })),
        Code.FailedPrecondition,
        "CURSOR_WRONG_CLUSTER",
      ],
      [
        cursorStart(formatCursor(clusterId, { ...future, kind: "COMMIT" })),
        Code.OutOfRange,
        "CURSOR_IN_FUTURE",
      ],
      [
        { start: { case: "sinceTime", value: formatNanoseconds(future.timestamp) } } as const,
        Code.InvalidArgument,
        "INVALID_FIELD",
      ],
      [{ heartbeatInterval: { seconds: 61n, nanos: 0 } }, Code.InvalidArgument, "INVALID_FIELD"],
    ] as const;
    for (const [request, code, reason] of refusals) {
      const refused = record(client, request);
      await refused.ended;
      expect([refused.error?.code, refused.error && reasonOf(refused.error)]).toEqual([
        code,
        reason,
      ]);
    }
    // The newest cursor that there can be is no future.
    const newest = formatCursor(clusterId, {
      timestamp: await clusterTime(world.client),
      kind: "EXPIRY",
      pendingTimestamp: 2n ** 64n - 1n,
    });
    const accepted = record(client, cursorStart(newest));
    await accepted.until((messages) => messages.length === 1);
    await accepted.stop();
  });

  test("tells expiries at their instant, and none that was posted or voided", async () => {
    const live = record(replica.connect(), { heartbeatInterval: { seconds: 1n, nanos: 0 } });
    await live.until((messages) => messages.length === 1);
    const [voided, posted] = [hold(1), hold(1)];
    // In one batch: on no machine it comes too late to void or post.
    const [expiring] = await world.seed.clearAll([
      hold(1),
      voided,
      posted,
      houseIntentOf({
        phase: "VOID_PENDING",
        pendingIntentId: voided.intentId,
        postings: voided.postings,
      }),
      houseIntentOf({
        phase: "POST_PENDING",
        pendingIntentId: posted.intentId,
        postings: posted.postings.map((posting) => ({ ...posting, amount: 1n })),
      }),
    ]);
    if (expiring === undefined) throw new Error("nothing was reserved");
    const isExpiry = ({ type }: Event) => type === EventType.EXPIRED;
    await live.until((messages) => eventsOf(messages).some(isExpiry));
    await live.until((messages) => messages.at(-1)?.message.case === "bookmark");
    const truth = await world.truth();
    await live.stop();
    validateStreams([live], { clusterId, truth, matching: after(truth, live.messages[0]?.cursor) });
    const expired = eventsOf(live.messages).filter(isExpiry);
    const last = expiring.timestamps[1] ?? 0n;
    expect(expired).toHaveLength(1);
    expect(expired[0]).toMatchObject({
      eventId: `${clusterId}-${last + 1_000_000_000n}-EXPIRY-${last}`,
      intentId: expiring.intent.intentId,
      attested: true,
    });
    expect(expired[0]?.transfers).toHaveLength(2);
  });

  test("tells expiries that were due while nothing ran", async () => {
    const { seeded, seconds, cursor } = await holdTwoAndVoidOne();
    await sleep(seconds * 1_000 + 200);
    const other = await world.open();
    for (const from of [cursor, await cursorBefore(seeded.timestamps[0] ?? 0n)]) {
      const late = record(other.connect(), cursorStart(from));
      const truth = await finish(late);
      validateStreams([late], { clusterId, truth, matching: after(truth, from) });
      const expired = eventsOf(late.messages).filter(({ type }) => type === EventType.EXPIRED);
      expect(expired.map(({ intentId }) => intentId)).toEqual([seeded.intent.intentId]);
    }
    await other.stop();
  });

  test("says that nobody attested what was written past Clearing", async () => {
    const live = record(replica.connect());
    await live.until((messages) => messages.length === 1);
    const honest = await world.seed.clear(bundle());
    const copied = honest.rows.map((row, leg) => ({
      ...formatTransfer(row),
      id: row.id + BigInt(leg) + 1_000n,
    }));
    await writePast(copied);
    await writePast(copied.slice(0, 1).map((row) => ({ ...row, id: row.id + 99n, flags: 0 })));
    await writePast([
      { ...copied[0], id: 4_711n, flags: 0, user_data_128: 0n, user_data_64: 0n, user_data_32: 0 },
    ] as Transfer[]);
    const truth = await finish(live);
    validateStreams([live], { clusterId, truth, matching: after(truth, live.messages[0]?.cursor) });
    expect(eventsOf(live.messages).map(({ attested, intentId }) => [attested, intentId])).toEqual([
      [true, honest.intent.intentId],
      [false, ""],
      [false, ""],
      [false, ""],
    ]);
  });

  test("raises the alarm over it by itself, though nobody listens, and again after a restart", async () => {
    // Within two seconds: it looks as often as this, and tells what it finds.
    expect(defaultLimits.pollMs).toBeLessThanOrEqual(1_000);
    for (const { isRestart, id } of [
      { isRestart: false, id: 815n },
      { isRestart: true, id: 816n },
    ]) {
      const lines: string[] = [];
      const destination = {
        write: (line: string) => lines.push(line),
      } as unknown as NodeJS.WritableStream;
      const logger = createLogger("eventstream", "error", { format: "json", destination });
      const lone = await world.open({ logger });
      const before = await alarmCount(lone);
      expect(before).toBeGreaterThanOrEqual(0);
      const [row] = (await world.seed.clear(bundle())).rows;
      if (row === undefined) throw new Error("an intent without a leg");
      await writePast([{ ...formatTransfer(row), id, flags: 0 }]);
      const alarm = () => lines.find((line) => line.includes(`"transferId":"${id}"`));
      await expect.poll(alarm).toContain(`"debitAccountId":"${row.debitAccountId}"`);
      expect(await alarmCount(lone)).toBeGreaterThan(before);
      // A start tells again what is young.
      if (isRestart) expect(lines.join()).toContain('"transferId":"815"');
      await lone.stop();
    }
  });

  test("selects by type, account, wallet, merchant and code, combined", async () => {
    const truth = await world.truth();
    const from = await clusterTime(world.client);
    const intents = [
      bundle(),
      intentOf({ wallet: bob.address, postings: [purchase(bob.address)], merchantId: "market-2" }),
      intentOf({ wallet: bob.address, postings: [transfer(bob.address, alice.address)] }),
      hold(0),
    ];
    const seeded = await world.seed.clearAll(intents);
    expect(truth.length).toBeGreaterThan(0);
    const cases: [MessageInitShape<typeof EventFilterSchema>, number[]][] = [
      [{}, [0, 1, 2, 3]],
      [{ types: [EventType.PENDED] }, [3]],
      [{ accountIds: [chart.bread.toString()] }, [0]],
      [{ accountIds: [chart.bread.toString(), aliceUsd.toString()] }, [0, 2, 3]],
      [{ wallets: [alice.address.toLowerCase()] }, [0, 2, 3]],
      [{ wallets: [bob.address], merchantIds: ["market-2"] }, [1]],
      [{ merchantIds: ["market-1"], types: [EventType.CLEARED] }, [0, 2]],
      [{ codes: [6] }, [2]],
      [{ codes: [6], wallets: [testKey(3).address] }, []],
    ];
    const client = replica.connect();
    const start = { case: "sinceTime", value: formatNanoseconds(from) } as const;
    for (const [filter, expected] of cases) {
      const wanted = expected.map((index) => seeded[index]?.intent.intentId);
      const listed = await client.listEvents({ start, filter });
      expect(
        listed.events.map(({ intentId }) => intentId),
        JSON.stringify(filter),
      ).toEqual(wanted);
      const live = record(client, {
        start,
        filter,
        heartbeatInterval: { seconds: 1n, nanos: 0 },
      });
      const last = seeded.at(-1)?.timestamps.at(-1) ?? 0n;
      await live.until((messages) => {
        const { message, cursor = "" } = messages.at(-1) ?? {};
        return message?.case === "bookmark" && placeOf(cursor, clusterId)[0] >= last;
      });
      await live.stop();
      expect(eventsOf(live.messages).map(({ intentId }) => intentId)).toEqual(wanted);
    }
  });

  test("shows a wallet's holder what touches his accounts, until his credential ends", async () => {
    const listen = async (expiresInSeconds: number) => {
      const client = replica.connect({ wallet: bob.address, expiresInSeconds });
      const stream = record(client, { ...earliest, heartbeatInterval: { seconds: 1n, nanos: 0 } });
      await stream.ended;
      return stream;
    };
    let bobs = await listen(2);
    // On a slow machine that is not long enough to be told anything.
    for (const seconds of [8, 30]) {
      if (eventsOf(bobs.messages).length <= 2) bobs = await listen(seconds);
    }
    const bobUsd = walletAccountId(bob.address, usd).toString();
    const events = eventsOf(bobs.messages);
    expect(events.length).toBeGreaterThan(2);
    for (const { account, transfers } of events) {
      const touched = [
        account?.accountId,
        ...transfers.flatMap((row) => [row.debitAccountId, row.creditAccountId]),
      ];
      expect(touched).toContain(bobUsd);
    }
    const last = bobs.messages.at(-1);
    expect(last?.message).toMatchObject({
      case: "closing",
      value: { reason: "credentials_expired", cursor: last?.cursor },
    });
    expect(bobs.error?.code).toBe(Code.Unavailable);
  });

  test("tells each of several in one intent his own leg, live and by page, and filters by that", async () => {
    const from = await clusterTime(world.client);
    const carol = wallets[2] ?? "";
    const paid = await world.seed.clear(
      intentOf({
        postings: [transfer(alice.address, bob.address, 7n), transfer(alice.address, carol, 9n)],
      }),
    );
    const start = { case: "sinceTime", value: formatNanoseconds(from) } as const;
    const heartbeatInterval = { seconds: 1n, nanos: 0 };
    const [everyone, ...people] = [undefined, alice.address, bob.address, carol].map((wallet) =>
      replica.connect(wallet === undefined ? {} : { wallet }),
    );
    const whole = (await everyone?.listEvents({ start }))?.events ?? [];
    expect(whole).toMatchObject([{ masked: false, legCount: 2, reference: "A-17" }]);
    for (const [index, client] of people.entries()) {
      const { events } = await client.listEvents({ start });
      const legs = index === 0 ? [0, 1] : [index - 1];
      expect(events[0]?.transfers.map(({ leg }) => leg)).toEqual(legs);
      if (index === 0) expect(events).toEqual(whole);
      else {
        expect(events).toMatchObject([
          {
            intentId: paid.intent.intentId,
            masked: true,
            legCount: 2,
            reference: "",
            merchantId: "",
          },
        ]);
      }
      const live = record(client, { start, heartbeatInterval });
      await live.until((messages) => eventsOf(messages).length === 1);
      await live.stop();
      expect(eventsOf(live.messages)).toEqual(events);
      const otherLeg = walletAccountId(index === 1 ? carol : bob.address, usd).toString();
      const filters = [{ accountIds: [otherLeg] }, { merchantIds: ["market-1"] }];
      const found = await Promise.all(
        filters.map(async (filter) => (await client.listEvents({ start, filter })).events.length),
      );
      expect(found).toEqual(index === 0 ? [1, 1] : [0, 0]);
    }
  });

  test("wakes up for a notification, long before its time", async () => {
    const other = await world.open({ limits: { pollMs: 60_000 } });
    const live = record(other.connect());
    await live.until((messages) => messages.length === 1);
    // The listener connects on its own time; a round that it started itself is not what is tested.
    for (let round = 0; round < 2; round += 1) {
      await world.seed.clear(bundle());
      await world.pool.query(`notify ${clearedChannel}`);
      await live.until((messages) => eventsOf(messages).length === round + 1);
    }
    await live.stop();
    await other.stop();
  });

  test("waits for records that Clearing has not set up yet", async () => {
    await world.pool.query("alter table evidence rename to evidence_later");
    const other = await world.open();
    const live = record(other.connect(), { heartbeatInterval: { seconds: 1n, nanos: 0 } });
    await live.until((messages) => messages.at(-1)?.message.case === "bookmark");
    await world.pool.query("alter table evidence_later rename to evidence");
    await world.seed.clear(bundle());
    await live.until((messages) => eventsOf(messages).length === 1);
    await live.stop();
    await other.stop();
  });

  test("does without notifications", async () => {
    const other = await world.open({ listen: false });
    const live = record(other.connect());
    await live.until((messages) => messages.length === 1);
    await world.seed.clear(bundle());
    await live.until((messages) => eventsOf(messages).length === 1);
    await live.stop();
    await other.stop();
  });

  test("pages through the past with the same meaning", async () => {
    const truth = await world.truth();
    const client = replica.connect();
    const seen: Event[] = [];
    let pageToken = "";
    let cursor = "";
    do {
      const page = await client.listEvents({ pageSize: 7, pageToken });
      expect(page.events.length).toBeLessThanOrEqual(7);
      seen.push(...page.events);
      ({ nextPageToken: pageToken, cursor } = page);
      // What is committed meanwhile never shifts a list that has begun.
      if (seen.length === 7) await world.seed.clear(bundle());
    } while (pageToken !== "");
    expect(seen.map(({ eventId }) => eventId)).toEqual(truth.map(({ eventId }) => eventId));
    const rest = record(client, cursorStart(cursor));
    await rest.until((messages) => eventsOf(messages).length === 1);
    await rest.stop();

    const to = truth[9]?.place[0] ?? 0n;
    const early = await client.listEvents({ toTime: formatNanoseconds(to), pageSize: 1_000 });
    expect(early.events.map(({ eventId }) => eventId)).toEqual(
      truth.slice(0, 9).map(({ eventId }) => eventId),
    );
    const first = await client.listEvents({ pageSize: 1 });
    const misused = client.listEvents({
      pageToken: first.nextPageToken,
      filter: { codes: [1] },
    });
    await expect(misused.catch((error) => reasonOf(ConnectError.from(error)))).resolves.toBe(
      "INVALID_FIELD",
    );
  });

  test("takes no more subscribers than it may", async () => {
    const other = await world.open({ env: { SUBSCRIBERS_MAX: "1" } });
    const client = other.connect();
    const first = record(client);
    await first.until((messages) => messages.length === 1);
    const second = record(client);
    await second.ended;
    expect(second.error && reasonOf(second.error)).toBe("LIMIT_EXCEEDED");
    await first.stop();
    await expect.poll(() => other.deps.stream.subscribers).toBe(0);
    const third = record(client);
    await third.until((messages) => messages.length === 1);
    await third.stop();
    await other.stop();
  });

  test("ends the stream of one who takes nothing, and tells him where to resume", async () => {
    const other = await world.open({ runtime: { streamStallMs: 1_500 } });
    const client = other.connect();
    const { cursor: start } = await firstMessage();
    // Those who take what they are told ask a replica that waits for them longer than a machine stands still.
    const patient = replica.connect();
    const quick = record(patient, cursorStart(start));
    // More than the flow control of HTTP/2 and the buffers of both sides hold.
    const postings = Array.from({ length: 64 }, () => purchase(alice.address, 1n));
    for (let index = 0; index < 40; index += 1) {
      await world.seed.clearAll([1, 2, 3].map(() => intentOf({ postings })));
    }
    const truth = await finish(quick);
    const stuck = client.subscribe(cursorStart(start))[Symbol.asyncIterator]();
    await stuck.next();
    await expect.poll(() => other.deps.stream.subscribers).toBe(0);
    const messages = [];
    let error: unknown;
    for (;;) {
      try {
        const { value, done } = await stuck.next();
        if (done === true) break;
        messages.push(value);
      } catch (caught) {
        error = caught;
        break;
      }
    }
    expect(reasonOf(ConnectError.from(error))).toBe("SLOW_CONSUMER");
    expect(messages.length).toBeLessThan(quick.messages.length);
    const [info] = ConnectError.from(error).findDetails(ErrorInfoSchema);
    expect(info?.metadata["cursor"]).toBe(messages.at(-1)?.cursor);
    const resumed = record(patient, cursorStart(messages.at(-1)?.cursor ?? ""));
    const last = truth.at(-1)?.eventId;
    await resumed.until((seen) => eventsOf(seen).some(({ eventId }) => eventId === last));
    await resumed.stop();
    validateComplete([{ messages }, resumed], after(truth, start));
    await other.stop();
  });

  test("says goodbye when it drains", async () => {
    const other = await world.open();
    const live = record(other.connect());
    await live.until((messages) => messages.length === 1);
    const stopping = other.stop();
    await live.ended;
    await stopping;
    const last = live.messages.at(-1);
    expect(last?.message).toMatchObject({ case: "closing", value: { reason: "draining" } });
    expect(live.error && [live.error.code, reasonOf(live.error)]).toEqual([
      Code.Unavailable,
      "DRAINING",
    ]);
  });

  test("keeps every promise over a random history, with subscribers that come and go", async () => {
    const pace = { durationMs: 4_000, chainsMin: 200, pauseMsMax: 3 };
    const options = { seed: world.seed, wallets, ...pace };
    const random = createRandom(randomSeed);
    const replicas = [replica, await world.open({ limits: { ringEventsMax: 8 } })];
    const { cursor } = await firstMessage();
    let isWriting = true;
    const writing = writeRandomHistory({ ...options, model: new LedgerModel(), random }).finally(
      () => {
        isWriting = false;
      },
    );
    const wander = async (index: number) => {
      const streams: Recorder[] = [];
      let from = cursor;
      for (let turn = index; isWriting; turn += 1) {
        const client = replicas[turn % 2]?.connect();
        if (client === undefined) throw new Error("no replica");
        const stream = record(client, cursorStart(from));
        streams.push(stream);
        await sleep(100 + 300 * random());
        await stream.stop();
        from = stream.messages.at(-1)?.cursor ?? from;
      }
      const stream = record(replica.connect(), cursorStart(from));
      streams.push(stream);
      return { streams, stream, from };
    };
    const subscribers = await Promise.all([wander(0), wander(1), wander(2)]);
    await writing;
    await sleep(4_000);
    const truth = await world.truth();
    for (const { streams, stream, from } of subscribers) {
      await stream.until((messages) => eventsOf(messages).length === after(truth, from).length);
      await stream.stop();
      validateStreams(streams, { clusterId, truth, matching: after(truth, cursor) });
    }
    expect(new Set(truth.map(({ type }) => type)).size).toBe(6);
    await replicas[1]?.stop();
  });

  async function firstMessage() {
    const stream = record(replica.connect());
    await stream.until((messages) => messages.length === 1);
    await stream.stop();
    const [first] = stream.messages;
    if (first === undefined) throw new Error("nothing came");
    return first;
  }

  /**
   * Two reservations of a second, or more if the machine needs that, and a cursor behind both; then the second is voided
   * while they still are open.
   */
  async function holdTwoAndVoidOne() {
    for (const seconds of [1, 2, 4, 8, 16]) {
      const [seeded, bypassed] = await world.seed.clearAll([hold(seconds), hold(seconds)]);
      if (seeded === undefined || bypassed === undefined) throw new Error("nothing was reserved");
      const { cursor } = await firstMessage();
      // Past Clearing: only the ledger knows that this one was voided.
      const results = await world.client.createTransfers(
        bypassed.rows.map((row) => ({
          ...formatTransfer(row),
          id: row.id + 1n,
          pending_id: row.id,
          timeout: 0,
          flags: TransferFlags.void_pending_transfer,
        })),
      );
      const isInTime = results.every(({ status }) => status === CreateTransferStatus.created);
      if (isInTime) return { seeded, seconds, cursor };
    }
    throw new Error("the reservation ran out before it was voided, each time");
  }

  async function cursorBefore(timestamp: bigint) {
    return formatCursor(clusterId, {
      timestamp: timestamp - 1n,
      kind: "COMMIT",
      pendingTimestamp: 0n,
    });
  }

  /** What a replica's counter of alarms says; -1 while it is not there. */
  async function alarmCount({ running }: Replica): Promise<number> {
    const response = await fetch(`http://127.0.0.1:${running.ports.metrics}/metrics`);
    const value = /^eventstream_unattested_events_total (\d+)$/m.exec(await response.text())?.[1];
    return Number(value ?? -1);
  }

  /** Writes to the ledger without evidence. */
  async function writePast(rows: Transfer[]) {
    const results = await world.client.createTransfers(rows);
    expect(results.every(({ timestamp }) => timestamp > 0n)).toBe(true);
  }
});
