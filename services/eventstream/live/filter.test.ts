// Goal: a filter selects what it says, and those who are told without being asked are exactly those who would match.
import { describe, expect, test } from "vitest";
import { postingCodes } from "#common/intent/posting-codes.ts";
import { viewerOf } from "#common/ledger/visibility.ts";
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
import { compileFilter, type EventSelection, everything, visibleEvent } from "./filter.ts";
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
    const filter = compileFilter({ ...everything, ...selection }, viewerOf({ wallet: onlyWallet }));
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

describe("a filter of one who is bound", () => {
  const payroll = intentOf({
    postings: [transfer(alice.address, bob.address), purchase(alice.address)],
    merchantId: "market-2",
  });

  async function payrollEvent(): Promise<StreamEvent> {
    const ledger = new ArrayLedger();
    ledger.clear(payroll, 10n);
    const reader = new EventReader({
      ledger: ledger.reads(100),
      records: ledger.records,
      start: beginning,
      openLegsMax: 10,
    });
    const [event] = (await reader.read(ledger.now, 100)).events;
    if (event === undefined) throw new Error("there is no event");
    return event;
  }
  const asBob = viewerOf({ wallet: bob.address });

  test.each<[string, Partial<EventSelection>, boolean]>([
    ["his own leg's rule", { codes: [postingCodes.WALLET_TRANSFER] }, true],
    ["another leg's rule", { codes: [postingCodes.PURCHASE] }, false],
    ["his account", { accountIds: [walletAccountId(bob.address, usd)] }, true],
    ["an account on the other side of his leg", { accountIds: [aliceUsd] }, true],
    ["an account of another leg", { accountIds: [chart.milk] }, false],
    ["the wallet on the other side", { wallets: [alice.address] }, true],
    ["the merchant", { merchantIds: ["market-2"] }, false],
    ["the type", { types: ["CLEARED"] }, true],
  ])("is asked of what he sees: %s", async (_name, selection, expected) => {
    const event = await payrollEvent();
    const selected = { ...everything, ...selection };
    expect(compileFilter(selected, asBob).matches(event)).toBe(expected);
    expect(compileFilter(selected).matches(event)).toBe(true);
  });

  test("is the merchant's own", async () => {
    const event = await payrollEvent();
    const matches = (merchant: string) =>
      compileFilter(everything, viewerOf({ wallet: undefined, merchant })).matches(event);
    expect([matches("market-2"), matches("market-1")]).toEqual([true, false]);
  });

  test("is told each leg's own once to each, whole to the payer", async () => {
    const event = await payrollEvent();
    expect(visibleEvent(asBob, event)).toMatchObject({
      masked: true,
      legCount: 2,
      transfers: [{ creditAccountId: walletAccountId(bob.address, usd) }],
      evidence: { intent: { reference: "", merchantId: "" }, attestation: { walletSignature: "" } },
    });
    const asAlice = viewerOf({ wallet: alice.address });
    expect(visibleEvent(asAlice, event)).toEqual({ ...event, masked: false, legCount: 2 });
  });
});
