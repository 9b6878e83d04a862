// Goal: what is due is done once, also if the store could not be written when it was. Method: a store in memory whose
// first transactions fail as SQLite does.
import { afterEach, expect, test } from "vitest";
import { createLogger } from "#common/process/logger.ts";
import { stripeSimConfig } from "../config.ts";
import { createStripeSimDeps } from "../deps.ts";
import { createLater } from "./later.ts";

const keys = {
  STRIPE_SECRET_KEY: "sk_test_simulator_0",
  STRIPE_PUBLISHABLE_KEY: "pk_test_simulator_0",
};
const deps = createStripeSimDeps(stripeSimConfig(keys), {
  logger: createLogger("stripe-sim", "silent"),
});
const { store } = deps;
const { transaction } = store;
afterEach(() => {
  store.transaction = transaction;
});

/** Runs a task that nobody knows how to do, with `failures` to write before; resolves with how often it was tried. */
async function runTask(failures: readonly object[]): Promise<number> {
  let tries = 0;
  store.transaction = (work) => {
    const failure = failures[tries++];
    if (failure !== undefined) throw Object.assign(new Error("database"), failure);
    return transaction(work);
  };
  store.addTask({ kind: "book_charge", object: "ch_nobody", dueMs: 0 });
  const later = createLater({ ...deps, onDone: () => undefined, againMs: 1 });
  later.wake();
  await expect.poll(() => store.nextTask()).toBeUndefined();
  later.stop();
  return tries;
}

test("what cannot be written just now is still to be done", async () => {
  const full = { code: "ERR_SQLITE_ERROR", errcode: 13 };
  const unreadable = { code: "ERR_SQLITE_ERROR", errcode: 10 | (3 << 8) };
  expect(await runTask([full, unreadable, full])).toBe(4);
});

test("what fails of itself is given up, and holds up nothing", async () => {
  expect(await runTask([{ code: "ERR_SQLITE_ERROR", errcode: 1 }])).toBe(1);
});
