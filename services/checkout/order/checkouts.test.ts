// Goal: who watches a checkout hears every state that lasts, and how the watch ended. Method: a store of one record.
import { afterEach, expect, test } from "vitest";
import type { StreamEnds } from "#common/stream-life.ts";
import type { CheckoutStore } from "../ports.ts";
import { type CheckoutOptions, createCheckouts } from "./checkouts.ts";
import type { CheckoutRecord } from "./record.ts";
import { createCheckoutWatch } from "./watch.ts";

const intentId = "0198c0de-0000-7000-8000-000000000001";
const watch = createCheckoutWatch(1, () => new Error("full"));
let revision = 1n;
/** Runs while the record is read. */
let onRead = () => {};

const store: Partial<CheckoutStore> = {
  read: () => {
    const record = { order: { intentId, revision } } as CheckoutRecord;
    onRead();
    return Promise.resolve(record);
  },
};
const checkouts = createCheckouts({ store, changes: watch } as CheckoutOptions);

afterEach(() => {
  onRead = () => {};
  // Its place was given back.
  watch.listen(intentId, () => {})();
});

function open(ends: Partial<StreamEnds> = {}) {
  const { signal } = new AbortController();
  const endsAtMs = Date.now() + 60_000;
  const all: StreamEnds = { signal, drain: signal, endsAtMs, endsBecause: "max_age", ...ends };
  return checkouts.watch({ intentId }, { wallet: undefined }, all)[Symbol.asyncIterator]();
}

const revisionOf = ({ value }: IteratorResult<CheckoutRecord>) => value?.order.revision;

function change() {
  revision += 1n;
  watch.changed(intentId);
}

test("a watch tells a change that comes while it waits, and one that comes while it reads", async () => {
  const records = open();
  expect(revisionOf(await records.next())).toBe(revision);
  const next = records.next();
  change();
  expect(revisionOf(await next)).toBe(revision);
  watch.changedAny();
  const late = records.next();
  onRead = () => {
    onRead = () => {};
    change();
  };
  expect(revisionOf(await late)).toBe(revision);
  await records.return?.();
});

test("a watch that is old enough ends without an error", async () => {
  const records = open({ endsAtMs: Date.now() + 20 });
  await records.next();
  expect(await records.next()).toEqual({ done: true, value: undefined });
});

test("a watch of a process that leaves ends with DRAINING", async () => {
  const drain = new AbortController();
  const records = open({ drain: drain.signal });
  await records.next();
  const next = records.next();
  drain.abort();
  await expect(next).rejects.toMatchObject({ kind: "DRAINING" });
});
