// Goal: a terminal shows events in columns that line up, under the names that people gave.

import { stripVTControlCharacters } from "node:util";
import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { walletAccountId } from "#common/ledger/wallet-account.ts";
import { type Event, EventSchema, EventType } from "#gen/sovr/eventstream/v1/event_pb.ts";
import { eventLines, type Paint, walletNames } from "./event-text.ts";

const alice = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf";
const bob = "0x2B5AD5c4795c026514f8317c7a215E218DcCD6cF";
const names = walletNames([{ name: "alice", address: alice }]);
const idOf = (wallet: string, ledger = 1) => walletAccountId(wallet, ledger).toString();

function event(wallet: string, type = EventType.CLEARED): Event {
  return create(EventSchema, {
    type,
    commitTime: { seconds: 1_700_000_000n, nanos: 123_456_789 },
    intentId: "018f0000-0000-7000-8000-000000000001",
    wallet,
    reference: "A-17",
    attested: true,
    transfers: [
      { amount: "450", ledger: 1, debitAccountId: idOf(wallet), creditAccountId: "4000001" },
      { amount: "100000", ledger: 1, debitAccountId: idOf(bob), creditAccountId: idOf(alice) },
    ],
  });
}

describe("eventLines", () => {
  it("shows one line for each transfer, in columns", () => {
    expect(eventLines(event(alice), names)).toEqual([
      "22:13:20.123  CLEARED          4.50 USD  alice → MILK_OBLIGATION            " +
        " A-17  018f0000-0000-7000-8000-000000000001",
      expect.stringMatching(/^ {28}1000\.00 USD {2}account [0-9]{8}… → alice$/),
    ]);
  });

  it("knows the wallet that it is about, though nobody named it", () => {
    expect(eventLines(event(bob), names)[0]).toContain("0x2B5A…D6cF → ");
  });

  it("shouts when nobody attested it", () => {
    const unattested = { ...event(alice), attested: false };
    expect(eventLines(unattested, names)[0]).toMatch(/ {2}NOT ATTESTED: written past Clearing$/);
  });

  it("names an account that was opened", () => {
    const opened = create(EventSchema, {
      type: EventType.ACCOUNT_OPENED,
      wallet: alice,
      account: { accountId: idOf(alice, 2), ledger: 2, wallet: alice },
    });
    expect(eventLines(opened, names)[0]).toMatch(/ OPENED {2,}SFIAT {2}alice$/);
  });

  it("lines up in colour as without", () => {
    const paint: Paint = (_style, text) => `\x1b[1m${text}\x1b[0m`;
    const coloured = eventLines(event(alice), names, paint);
    expect(coloured.map((line) => stripVTControlCharacters(line))).toEqual(
      eventLines(event(alice), names),
    );
    expect(coloured[0]).toContain("\x1b[");
  });
});
