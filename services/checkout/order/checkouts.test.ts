// Goal: who watches a checkout hears every state that lasts, and how the watch ended; a wallet makes so many in a minute.
// Method: a store of one record.
import { afterEach, expect, test } from "vitest";
import { DomainError } from "#common/domain-error.ts";
import type { StreamEnds } from "#common/stream-life.ts";
import type { CheckoutStore } from "../ports.ts";
import { type CheckoutOptions, type CreateRequest, createCheckouts } from "./checkouts.ts";
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

test("a wallet that had its share of the minute makes none anew, and finds those that it made", async () => {
  const buyer = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
  const metadata = { limit: "1", what: "checkouts per wallet and minute" };
  const request: CreateRequest = {
    intentId,
    wallet: buyer,
    merchantId: "market-1",
    orderId: "A-1",
    items: [{ sku: "MILK", quantity: 1 }],
    expectedAmount: undefined,
    paymentMethod: "BALANCE",
    walletSignature: "",
    burnPoscr: false,
  };
  const known = { order: { ...request, state: "AWAITING_SIGNATURE" } } as unknown as CheckoutRecord;
  const limited = createCheckouts({
    store: { read: async (id: string) => (id === intentId ? known : undefined) },
    settler: { settlePayment: async (record: CheckoutRecord) => ({ record, payment: undefined }) },
    rate: {
      take() {
        throw new DomainError("RATE_LIMITED", "at most one", { metadata });
      },
      giveBack() {},
    },
    nowMs: Date.now,
  } as unknown as CheckoutOptions);
  const shopper = { wallet: buyer };
  const create = (more: Partial<CreateRequest>) =>
    limited.create({ ...request, ...more }, shopper, { deadlineMs: Date.now() + 60_000 });
  await expect(create({ intentId: `${intentId.slice(0, -1)}2` })).rejects.toMatchObject({
    kind: "RATE_LIMITED",
    metadata,
  });
  expect(await create({})).toMatchObject({ record: known });
});
