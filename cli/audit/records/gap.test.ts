// Goal: what a ledger has lost is known to the row, also when it has gone on since. Method: ledgers of arrays.
import { expect, it } from "vitest";
import type { LedgerIdentity } from "#common/ledger/identity.ts";
import { readLedgerSigns } from "#common/ledger/identity.ts";
import { endOfTime, type LedgerReader } from "#common/ledger/reader.ts";
import { funding, houseIntentOf, testKey } from "../../../test/support/intents/intents.ts";
import { ArrayLedger } from "../../../test/support/ledger/array-ledger.ts";
import { findGap, knowAdoptions } from "./gap.ts";

const identity: LedgerIdentity = {
  clusterId: 7n,
  birthAccountId: 1_000_001n,
  birthTimestamp: 100n,
  highWaterMark: 500n,
};

/** A ledger whose accounts and transfers have no more to them than their times. */
function ledgerOf(accounts: readonly bigint[], transfers: readonly bigint[]): LedgerReader {
  const ledger = new ArrayLedger();
  const account = { ledger: 1, code: 10, wallet: "", closed: false };
  for (const [index, timestamp] of accounts.entries()) {
    const id = index === 0 ? identity.birthAccountId : BigInt(index);
    ledger.accounts.push({ ...account, id, timestamp });
  }
  const intent = houseIntentOf({ postings: [funding(testKey(1).address, 1n)] });
  for (const timestamp of transfers) ledger.clear(intent, timestamp);
  return ledger.reads(10);
}

async function gapOf(ledger: LedgerReader, known: LedgerIdentity | undefined = identity) {
  const signs = await readLedgerSigns(ledger, 7n, known ?? { ...identity, highWaterMark: 0n });
  return findGap(ledger, known, signs, true);
}

it("is none where the row of the mark is there, whatever came after it", async () => {
  expect(await gapOf(ledgerOf([100n, 110n], [300n, 500n]))).toBeUndefined();
  expect(await gapOf(ledgerOf([100n, 500n], [300n, 600n]))).toBeUndefined();
});

it("is the tail of a copy, and only what came between once that has gone on", async () => {
  const copy = await gapOf(ledgerOf([100n, 310n], [300n]));
  expect(copy).toMatchObject({ from: 310n, to: endOfTime });
  const wentOn = await gapOf(ledgerOf([100n, 310n, 710n], [300n, 700n]));
  expect(wentOn).toMatchObject({ from: 310n, to: 700n, why: expect.stringContaining("gone on") });
});

it("is everything where the ledger is another, or none", async () => {
  const everything = { from: 0n, to: endOfTime };
  expect(await gapOf(ledgerOf([], []))).toMatchObject(everything);
  expect(await gapOf(ledgerOf([101n], [500n]))).toMatchObject(everything);
  const unknown = await findGap(
    ledgerOf([], []),
    undefined,
    await readLedgerSigns(ledgerOf([], []), 7n, { ...identity, highWaterMark: 0n }),
    true,
  );
  expect(unknown).toMatchObject(everything);
});

it("of an adoption begins after the last row that both ledgers hold", async () => {
  const ledger = ledgerOf([100n, 310n], [300n, 700n]);
  const adoptions = [
    { adoptNs: 600n, oldBirth: 100n, oldMark: 500n },
    { adoptNs: 650n, oldBirth: 99n, oldMark: 500n },
    { adoptNs: 650n, oldBirth: undefined, oldMark: undefined },
  ];
  const known = await knowAdoptions(ledger, adoptions, 100n);
  expect(known.map(({ lostFrom }) => lostFrom)).toEqual([310n, 0n, 0n]);
});
