// Goal: nobody loses an event and nobody holds others up, whoever is slow and whatever is away. Method: the whole
// core over arrays, with a ring so small that falling off it is the rule.
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { DomainError } from "#common/domain-error.ts";
import type { StreamEnds } from "#common/stream-life.ts";
import { beginning, comparePositions, endOf } from "#common/wire/cursor.ts";
import { alice, bob, intentOf, purchase } from "../../../test/support/intents/intents.ts";
import { ArrayLedger } from "../../../test/support/ledger/array-ledger.ts";
import { compileFilter, everything } from "../live/filter.ts";
import { defaultLimits, EventStream, type StreamLimits } from "./event-stream.ts";
import type { StreamStart } from "./start.ts";
import type { StreamMessage, Subscription } from "./subscription.ts";

const opened: Subscription[] = [];
afterEach(() => {
  for (const subscription of opened.splice(0)) subscription.close();
});

function streamOver(ledger: ArrayLedger, limits: Partial<StreamLimits> = {}, past = ledger) {
  const observer = {
    unattested: () => undefined,
    roundDone: () => undefined,
    roundFailed: () => undefined,
  };
  return new EventStream({
    ledger: ledger.reads(8),
    pastLedger: past.reads(8),
    records: ledger.records,
    readSumsAt: () => Promise.reject(new Error("no balances here")),
    limits: { ...defaultLimits, pollMs: 5, retryMs: 5, ringEventsMax: 4, ...limits },
    observer,
  });
}

interface Subscriber {
  readonly start?: StreamStart;
  readonly merchantId?: string;
  readonly heartbeatMs?: number;
  readonly ends?: Partial<StreamEnds>;
}

async function subscribe(stream: EventStream, subscriber: Subscriber = {}) {
  const { signal } = new AbortController();
  const subscription = await stream.subscribe({
    start: subscriber.start ?? { kind: "now" },
    filter: compileFilter({
      ...everything,
      merchantIds: subscriber.merchantId === undefined ? [] : [subscriber.merchantId],
    }),
    heartbeatMs: subscriber.heartbeatMs ?? 60_000,
    ends: {
      signal,
      drain: signal,
      endsAtMs: Date.now() + 60_000,
      endsBecause: "max_age",
      ...subscriber.ends,
    },
  });
  opened.push(subscription);
  return subscription;
}

/** The timestamps of the next events; other messages are passed over. */
async function take(subscription: Subscription, count: number): Promise<bigint[]> {
  const timestamps: bigint[] = [];
  while (timestamps.length < count) {
    const message = await subscription.next();
    if (message.kind === "event") timestamps.push(message.position.timestamp);
  }
  return timestamps;
}

async function nextOf<Kind extends StreamMessage["kind"]>(
  subscription: Subscription,
  kind: Kind,
): Promise<StreamMessage & { kind: Kind }> {
  for (;;) {
    const message = await subscription.next();
    if (message.kind === kind) return message as StreamMessage & { kind: Kind };
  }
}

const intent = (merchantId = "market-1") =>
  intentOf({ merchantId, postings: [purchase(alice.address), purchase(bob.address)] });

/** Commits at 1000, 1010, …, `count` of them from a timestamp on. */
function commit(ledger: ArrayLedger, from: bigint, count: number, merchantId?: string): bigint[] {
  const timestamps = Array.from({ length: count }, (_, index) => from + BigInt(index) * 10n);
  for (const timestamp of timestamps) ledger.clear(intent(merchantId), timestamp);
  return timestamps;
}

test("one who reads late misses nothing, though the ring has long moved on", async () => {
  const ledger = new ArrayLedger();
  ledger.tick(500n);
  const stream = streamOver(ledger);
  const late = await subscribe(stream);
  const quick = await subscribe(stream);
  expect((await late.next()).kind).toBe("opened");
  const told: bigint[] = [];
  const written: bigint[] = [];
  for (let round = 0n; round < 6n; round += 1n) {
    const timestamps = commit(ledger, 1_000n * (round + 1n), 3);
    written.push(...timestamps);
    told.push(...(await take(quick, 3)));
    // The late one falls off the ring, catches up, joins it, and falls off again.
    if (round === 3n) expect(await take(late, 11)).toEqual(written.slice(0, 11));
  }
  expect(told).toEqual(written);
  expect(await take(late, 7)).toEqual(written.slice(11));
});

test("many who come at once from the past all get everything, by few readers", async () => {
  const ledger = new ArrayLedger();
  const written = commit(ledger, 1_000n, 40);
  const stream = streamOver(ledger, { readersMax: 2, readerIdleMs: 10, lookBackNs: 0n });
  const crowd = await Promise.all(
    Array.from({ length: 12 }, () => subscribe(stream, { start: { kind: "earliest" } })),
  );
  // This one stops in the middle of a page, and has to give it up to the others.
  const [sleeper, ...others] = crowd;
  if (sleeper === undefined) throw new Error();
  const begun = await take(sleeper, 3);
  let readers = 0;
  const takeAll = async (subscription: Subscription) => {
    const timestamps: bigint[] = [];
    while (timestamps.length < written.length) {
      timestamps.push(...(await take(subscription, 1)));
      readers = Math.max(readers, stream.readers);
      if (timestamps.length % 7 === 0) await sleep(1);
    }
    return timestamps;
  };
  for (const told of await Promise.all(others.map(takeAll))) expect(told).toEqual(written);
  expect(readers).toBe(2);
  expect([...begun, ...(await take(sleeper, 37))]).toEqual(written);
});

test("one whom nothing concerns is passed by, and stays complete", async () => {
  const ledger = new ArrayLedger();
  ledger.tick(500n);
  const stream = streamOver(ledger);
  const quiet = await subscribe(stream, { merchantId: "market-2", heartbeatMs: 20 });
  const witness = await subscribe(stream);
  await quiet.next();
  const foreign = commit(ledger, 1_000n, 20, "market-1");
  await take(witness, 20);
  // The first may have been due before he joined the others.
  const last = foreign.at(-1) ?? 0n;
  while ((await nextOf(quiet, "bookmark")).position.timestamp < last);
  expect(stream.readers).toBe(0);
  const own = commit(ledger, 2_000n, 1, "market-2");
  expect(await take(quiet, 1)).toEqual(own);
});

test("a bookmark carries the head and never passes what was not told", async () => {
  const ledger = new ArrayLedger();
  const written = commit(ledger, 1_000n, 30);
  const stream = streamOver(ledger);
  const subscription = await subscribe(stream, { start: { kind: "earliest" }, heartbeatMs: 1 });
  let last = beginning;
  let told = 0;
  for (let bookmarks = 0; bookmarks < 10 || told < 30; ) {
    const message = await subscription.next();
    expect(comparePositions(message.position, last)).toBeGreaterThanOrEqual(0);
    last = message.position;
    if (message.kind === "event") told += 1;
    if (message.kind === "bookmark") {
      bookmarks += 1;
      expect(written.filter((timestamp) => timestamp <= last.timestamp)).toHaveLength(told);
      await sleep(1);
    }
  }
  expect(last).toEqual(endOf(ledger.now));
});

test.each([
  ["has what matches", "market-1", 30],
  ["has nothing that matches", "market-2", 0],
])(
  "one whose past %s hears at once, and once, that he is live",
  async (_past, merchantId, count) => {
    const ledger = new ArrayLedger();
    const written = commit(ledger, 1_000n, 30);
    const stream = streamOver(ledger, { pollMs: 20 });
    const subscription = await subscribe(stream, { start: { kind: "earliest" }, merchantId });
    const kinds: string[] = [];
    let bookmark: StreamMessage;
    do {
      bookmark = await subscription.next();
      kinds.push(bookmark.kind);
    } while (bookmark.kind !== "bookmark");
    expect(kinds).toEqual(["opened", ...Array(count).fill("event"), "bookmark"]);
    expect(bookmark.position.timestamp).toBeGreaterThanOrEqual(written.at(-1) ?? 0n);
    expect(bookmark.head).toEqual(bookmark.position);
    commit(ledger, 2_000n, 2, merchantId);
    expect((await subscription.next()).kind).toBe("event");
    expect((await subscription.next()).kind).toBe("event");
    const quiet = await Promise.race([subscription.next(), sleep(60)]);
    expect(quiet).toBeUndefined();
  },
);

test("one who starts now is told of no catching up", async () => {
  const ledger = new ArrayLedger();
  ledger.tick(500n);
  const subscription = await subscribe(streamOver(ledger));
  expect((await subscription.next()).kind).toBe("opened");
  const quiet = await Promise.race([subscription.next(), sleep(60)]);
  expect(quiet).toBeUndefined();
});

test("a bookmark that comes before what is in the ring does not pass it", async () => {
  const ledger = new ArrayLedger();
  ledger.tick(500n);
  const stream = streamOver(ledger);
  const subscription = await subscribe(stream, { heartbeatMs: 10 });
  const witness = await subscribe(stream);
  await nextOf(subscription, "bookmark");
  const written = commit(ledger, 1_000n, 3);
  await take(witness, 3);
  await sleep(30);
  const { position, head } = await nextOf(subscription, "bookmark");
  expect(position.timestamp).toBeLessThan(1_000n);
  expect(head).toEqual(endOf(ledger.now));
  expect(await take(subscription, 3)).toEqual(written);
});

test("now is when the ledger says, though the process has not read so far", async () => {
  const ledger = new ArrayLedger();
  ledger.tick(500n);
  const stream = streamOver(ledger, { pollMs: 60_000 });
  const first = await subscribe(stream);
  await first.next();
  await expect.poll(() => stream.hub.head).toEqual(endOf(500n));
  commit(ledger, 1_000n, 3);
  const second = await subscribe(stream);
  await second.next();
  commit(ledger, 2_000n, 2);
  stream.hub.wake();
  expect(await take(second, 2)).toEqual([2_000n, 2_010n]);
  expect(await take(first, 5)).toEqual([1_000n, 1_010n, 1_020n, 2_000n, 2_010n]);
});

test("nothing is asked of the ledger when nobody listens", async () => {
  const ledger = new ArrayLedger();
  ledger.tick(500n);
  const stream = streamOver(ledger);
  const subscription = await subscribe(stream);
  await subscription.next();
  await expect.poll(() => ledger.requests).toBeGreaterThan(10);
  subscription.close();
  await sleep(20);
  const { requests } = ledger;
  stream.hub.wake();
  await sleep(50);
  expect(ledger.requests).toBe(requests);
  expect(stream.subscribers).toBe(0);

  const again = await subscribe(stream);
  const written = commit(ledger, 1_000n, 2);
  expect(await take(again, 2)).toEqual(written);
});

test("a wake-up starts a round at once, and one that comes during a round another one", async () => {
  const ledger = new ArrayLedger();
  ledger.tick(500n);
  const stream = streamOver(ledger, { pollMs: 60_000 });
  const subscription = await subscribe(stream);
  await subscription.next();
  for (let round = 1n; round <= 5n; round += 1n) {
    const written = commit(ledger, 1_000n * round, 1);
    stream.hub.wake();
    expect(await take(subscription, 1)).toEqual(written);
    stream.hub.wake();
    commit(ledger, 1_000n * round + 500n, 1);
    stream.hub.wake();
    expect(await take(subscription, 1)).toEqual([1_000n * round + 500n]);
  }
  // Then it is quiet again.
  await sleep(50);
  const { requests } = ledger;
  await sleep(50);
  expect(ledger.requests).toBe(requests);
});

test("what we are woken for costs two requests", async () => {
  const ledger = new ArrayLedger();
  ledger.tick(500n);
  const stream = streamOver(ledger, { pollMs: 60_000 });
  const subscription = await subscribe(stream);
  await subscription.next();
  await expect.poll(() => stream.hub.head).toEqual(endOf(500n));
  for (let round = 1n; round <= 3n; round += 1n) {
    const { requests } = ledger;
    const written = commit(ledger, 1_000n * round, 2);
    stream.hub.wake();
    expect(await take(subscription, 2)).toEqual(written);
    expect(ledger.requests).toBe(requests + 2);
  }
});

test("wake-ups without end do not hold the ledger's time up", async () => {
  const ledger = new ArrayLedger();
  ledger.clear(
    intentOf({ phase: "PENDING", timeoutSeconds: 1, postings: [purchase(alice.address)] }),
    500n,
  );
  const stream = streamOver(ledger, { pollMs: 50 });
  const subscription = await subscribe(stream);
  await subscription.next();
  const waking = setInterval(() => stream.hub.wake(), 1);
  ledger.tick(2_000_000_000n);
  expect(await take(subscription, 1)).toEqual([1_000_000_500n]);
  clearInterval(waking);
});

test("while the records are away nothing is told, and all of it later", async () => {
  const ledger = new ArrayLedger();
  ledger.tick(500n);
  const stream = streamOver(ledger);
  const subscription = await subscribe(stream, { heartbeatMs: 10 });
  await subscription.next();
  await nextOf(subscription, "bookmark");
  ledger.recordsError = new DomainError("RECORDS_UNAVAILABLE", "away");
  const written = commit(ledger, 1_000n, 3);
  for (let bookmarks = 0; bookmarks < 5; bookmarks += 1) {
    const { position } = await subscription.next();
    expect(position.timestamp).toBeLessThan(1_000n);
  }
  ledger.recordsError = undefined;
  expect(await take(subscription, 3)).toEqual(written);
});

test.each([
  ["recordsError", "RECORDS_UNAVAILABLE", { kind: "now" }],
  ["ledgerError", "LEDGER_UNAVAILABLE", { kind: "now" }],
  ["recordsError", "RECORDS_UNAVAILABLE", { kind: "earliest" }],
] as const)("when %s lasts too long the stream ends with %s", async (side, kind, start) => {
  const ledger = new ArrayLedger();
  commit(ledger, 1_000n, 3);
  const stream = streamOver(ledger, { unavailableAfterMs: 50 });
  const subscription = await subscribe(stream, { start });
  await subscription.next();
  ledger[side] = new DomainError(kind, "away");
  commit(ledger, 2_000n, 1);
  await expect(nextOf(subscription, "closing")).rejects.toMatchObject({ kind });
  subscription.close();
  ledger[side] = undefined;
  // Those who come afterwards are not told of what is over.
  const next = await subscribe(stream, { start: { kind: "earliest" } });
  expect(await take(next, 4)).toHaveLength(4);
});

test.each(["new", "past"])(
  "a fault of ours in a read of %s events ends the stream at once, as what it is",
  async (which) => {
    const ledger = new ArrayLedger();
    const past = new ArrayLedger();
    // More than the ring holds, so that whoever starts at the beginning reads the past.
    for (const side of [ledger, past]) commit(side, 1_000n, 6);
    const stream = streamOver(ledger, {}, past);
    await take(await subscribe(stream, { start: { kind: "earliest" } }), 6);
    const subscription = await subscribe(stream, {
      start: { kind: which === "new" ? "now" : "earliest" },
    });
    await subscription.next();
    const fault = new RangeError("timestamp_min is no u64");
    (which === "new" ? ledger : past).ledgerError = fault;
    await expect(nextOf(subscription, "closing")).rejects.toBe(fault);
  },
);

test("planned ends are announced, then the stream is over", async () => {
  const ledger = new ArrayLedger();
  ledger.tick(500n);
  const stream = streamOver(ledger);
  const drain = new AbortController();
  const drained = await subscribe(stream, { ends: { drain: drain.signal } });
  const aged = await subscribe(stream, { ends: { endsAtMs: Date.now() + 30 } });
  drain.abort();
  for (const [subscription, reason] of [
    [drained, "draining"],
    [aged, "max_age"],
  ] as const) {
    await subscription.next();
    expect(await nextOf(subscription, "closing")).toMatchObject({
      reason,
      position: subscription.position,
    });
    await expect(subscription.next()).rejects.toMatchObject({ kind: "DRAINING" });
  }
  const left = new AbortController();
  const gone = await subscribe(stream, { ends: { signal: left.signal } });
  await gone.next();
  const waiting = gone.next();
  left.abort();
  await expect(waiting).rejects.toMatchObject({ kind: "CANCELLED" });
});

test("a place is taken until its stream is closed, and given back once", async () => {
  const ledger = new ArrayLedger();
  ledger.tick(500n);
  const stream = streamOver(ledger, { subscribersMax: 2 });
  const at = (timestamp: bigint) => ({ kind: "cursor", position: endOf(timestamp) }) as const;
  await expect(subscribe(stream, { start: at(501n) })).rejects.toMatchObject({
    kind: "CURSOR_IN_FUTURE",
  });
  expect(stream.subscribers).toBe(0);
  const full = { kind: "LIMIT_EXCEEDED" };
  const [first] = [await subscribe(stream, { start: at(500n) }), await subscribe(stream)];
  expect((await first.next()).kind).toBe("opened");
  await expect(subscribe(stream)).rejects.toMatchObject(full);
  first.close();
  first.close();
  expect(stream.subscribers).toBe(1);
  await subscribe(stream);
  await expect(subscribe(stream)).rejects.toMatchObject(full);
});
