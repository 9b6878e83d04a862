// Goal: a filter selects what it says, and those who are told without being asked are exactly those who would match.
import { describe, expect, test } from "vitest";
import { walletAccountId } from "#common/ledger/wallet-account.ts";
import { beginning } from "#common/wire/cursor.ts";
import {
  alice,
  bob,
  chart,
  funding,
  houseIntentOf,
  intentOf,
  purchase,
  transfer,
  usd,
} from "../../../test/support/intents/intents.ts";
import { ArrayLedger, accountAt } from "../../../test/support/ledger/array-ledger.ts";
import type { StreamEvent } from "../read/event.ts";
import { EventReader } from "../read/reader.ts";
import { compileFilter, type EventSelection, everything } from "./filter.ts";
import { type Interest, Interests } from "./interests.ts";

const aliceUsd = walletAccountId(alice.address, usd);

async function eventsOfEveryKind(): Promise<readonly StreamEvent[]> {
  const ledger = new ArrayLedger();
  ledger.accounts.push(accountAt(aliceUsd, 5n), accountAt(chart.milk, 6n));
  ledger.clear(houseIntentOf({ postings: [funding(alice.address)] }), 10n);
  ledger.clear(intentOf({ merchantId: "market-2" }), 20n);
  ledger.clear(
    intentOf({ wallet: bob.address, postings: [transfer(bob.address, alice.address)] }),
    30n,
  );
  ledger.clear(
    intentOf({ wallet: bob.address, postings: [purchase(bob.address, 1n, chart.eggs)] }),
    40n,
  );
  ledger.clear(intentOf({ phase: "PENDING", timeoutSeconds: 1 }), 50n);
  ledger.tick(2_000_000_000n);
  const reader = new EventReader({
    ledger: ledger.reads(100),
    records: ledger.records,
    start: beginning,
    openLegsMax: 10,
  });
  return (await reader.read(ledger.now, 100)).events;
}

const selections: [string, Partial<EventSelection>, string | undefined, number[]][] = [
  ["everything", {}, undefined, [0, 1, 2, 3, 4, 5, 6, 7]],
  ["types", { types: ["PENDED", "EXPIRED"] }, undefined, [6, 7]],
  ["accounts", { accountIds: [chart.milk] }, undefined, [1, 3, 6, 7]],
  ["accounts on either side", { accountIds: [aliceUsd] }, undefined, [0, 2, 3, 4, 6, 7]],
  ["wallets that authorised or are touched", { wallets: [bob.address] }, undefined, [4, 5]],
  ["merchants", { merchantIds: ["market-2"] }, undefined, [3]],
  ["codes of transfers and classes of accounts", { codes: [1, 20] }, undefined, [0, 1, 2]],
  ["all of it", { types: ["CLEARED"], wallets: [alice.address], codes: [2] }, undefined, [3]],
  ["what is a wallet's own", {}, bob.address, [4, 5]],
  ["no more than a wallet's own", { wallets: [alice.address] }, bob.address, [4]],
  ["nothing", { merchantIds: ["nobody"] }, undefined, []],
];

describe("a filter selects", () => {
  test.each(selections)("%s", async (_name, selection, onlyWallet, expected) => {
    const events = await eventsOfEveryKind();
    const filter = compileFilter({ ...everything, ...selection }, onlyWallet);
    const indexes = events.flatMap((event, index) => (filter.matches(event) ? [index] : []));
    expect(indexes).toEqual(expected);

    const told: number[] = [];
    const interests = new Interests();
    const interest: Interest = {
      filter,
      at: beginning,
      isJoined: true,
      firstMatch: undefined,
      wake: () => undefined,
    };
    interests.add(interest);
    for (const [index, event] of events.entries()) {
      interests.tell(event, index);
      if (interest.firstMatch !== undefined) told.push(interest.firstMatch);
      interest.firstMatch = undefined;
    }
    expect(told).toEqual(expected);
    interests.remove(interest);
    for (const [index, event] of events.entries()) interests.tell(event, index);
    expect(interest.firstMatch).toBeUndefined();
    expect(interests.size).toBe(0);
  });
});
