// Goal: rules that no business of ours has yet are judged as the format says. Method: a small book of the test's own; those of
// books/sovr are tested through common/intent/posting-rules.ts.
import { describe, expect, it } from "vitest";
import { DomainError } from "#common/domain-error.ts";
import type { Intent, Posting } from "#common/intent/intent.ts";
import { alice, bob, intentOf } from "../../../test/support/intents/intents.ts";
import { readBook } from "../read-book.ts";
import { walletAccountOf } from "../wallet-account-of.ts";
import { openJudge } from "./judge.ts";

const book = readBook(
  Buffer.from(`
name: arcade
title: Arcade
number: 1
activeFrom: 2026-01-01T00:00:00Z
assets:
  - { ledger: 1, code: PTS, name: Points, scale: 0, kind: ASSET_KIND_POINTS }
classes:
  - { code: 11, name: TILL, type: ACCOUNT_TYPE_ASSET }
  - { code: 20, name: PURSE, type: ACCOUNT_TYPE_LIABILITY, neverOverdrawn: true, perWallet: true }
  - { code: 21, name: PRIZES, type: ACCOUNT_TYPE_LIABILITY, neverOverdrawn: true, perWallet: true }
  - { code: 40, name: OWED, type: ACCOUNT_TYPE_LIABILITY, neverOverdrawn: true }
accounts:
  - { id: 1, name: DESK, class: TILL, assets: [PTS] }
  - { id: 2, name: OLD_DESK, class: TILL, assets: [PTS], retired: true }
  - { id: 3, name: GAMES, class: OWED, assets: [PTS] }
rules:
  - code: 1
    name: CHARGE
    says: CHARGE runs from TILL to PURSE
    authority: AUTHORITY_HOUSE
    corrects: CORRECTION_NONE
    ways: [{ debit: { classes: [TILL] }, credit: { classes: [PURSE] } }]
  - code: 2
    name: GIFT
    says: GIFT runs from TILL to PURSE
    authority: AUTHORITY_HOUSE
    ways: [{ debit: { classes: [TILL] }, credit: { classes: [PURSE] } }]
  - code: 3
    name: PLAY
    says: PLAY runs from PURSE to OWED
    authority: AUTHORITY_WALLET
    namesMerchant: true
    ways:
      - { debit: { classes: [PURSE] }, credit: { classes: [OWED] }, coveredBy: [CHARGE, GIFT] }
  - code: 4
    name: WIN
    says: WIN runs from OWED to PRIZES
    authority: AUTHORITY_HOUSE
    ways: [{ debit: { classes: [OWED] }, credit: { classes: [PRIZES] } }]
  - code: 5
    name: CASH_IN
    says: CASH_IN runs from PRIZES to PURSE
    authority: AUTHORITY_WALLET
    corrects: CORRECTION_REQUIRED
    ways: [{ debit: { classes: [PRIZES] }, credit: { classes: [PURSE] } }]
merchants:
  - { id: hall-1, title: The hall }
`),
);
const judge = openJudge(book);

const purse = walletAccountOf(alice.address, 1, 20);
const prizes = walletAccountOf(alice.address, 1, 21);
const digest = `0x${"ab".repeat(32)}`;

const move = (
  code: number,
  debitAccountId: bigint,
  creditAccountId: bigint,
  amount = 5n,
): Posting => ({
  code,
  debitAccountId,
  creditAccountId,
  amount,
  ledger: 1,
});

/** The authority, or the rule that refuses. */
function judged(postings: readonly Posting[], more: Partial<Intent> = {}): unknown {
  try {
    return judge.checkPostings(intentOf({ merchantId: "", ...more, postings }), {});
  } catch (error) {
    if (error instanceof DomainError) return error.metadata["rule"];
    throw error;
  }
}

const byHouse = { wallet: false, house: true };
const byWallet = { wallet: true, house: false };

describe("a book of its own", () => {
  it("has accounts for each wallet of every class that says so, each with its own id", () => {
    expect(prizes).not.toBe(purse);
    expect(prizes >> 110n).toBe((1n << 16n) | 21n);
    expect(judged([move(4, 3n, prizes)])).toEqual(byHouse);
    expect(judged([move(5, prizes, purse)], { corrects: digest })).toEqual(byWallet);
    expect(judged([move(4, 3n, purse)])).toBe("WIN runs from OWED to PRIZES");
    const other = walletAccountOf(bob.address, 1, 21);
    expect(judged([move(5, other, purse)], { corrects: digest })).toBe(
      "the debited WALLET belongs to the intent's wallet",
    );
    const nobodys = (1n << 126n) | (22n << 110n) | 1n;
    expect(judged([move(4, 3n, nobodys)])).toBe(
      `account ${nobodys} is not in the chart of accounts`,
    );
  });

  it("adds up what several rules cover, and takes it once", () => {
    const paid = [move(1, 1n, purse, 3n), move(2, 1n, purse, 4n)];
    expect(judged([...paid, move(3, purse, 3n, 7n)])).toEqual(byHouse);
    expect(judged([...paid, move(3, purse, 3n, 8n)])).toEqual({ wallet: true, house: true });
    expect(judged([...paid, move(3, purse, 3n, 5n), move(3, purse, 3n, 3n)])).toEqual({
      wallet: true,
      house: true,
    });
    expect(judged([...paid, move(3, purse, 3n, 7n)], { phase: "PENDING" })).toEqual({
      wallet: true,
      house: true,
    });
    expect(judged([move(3, purse, 3n), move(2, 1n, purse)])).toBe(
      "GIFT comes before the PLAY that it pays",
    );
  });

  it("moves no account that is retired", () => {
    expect(judged([move(1, 2n, purse)])).toBe("OLD_DESK is retired");
  });

  it("corrects what its rules say, and nothing else", () => {
    expect(judged([move(1, 1n, purse)], { corrects: digest })).toBe("CHARGE corrects nothing");
    expect(judged([move(5, prizes, purse)])).toBe("CASH_IN needs `corrects`");
    expect(judged([move(2, 1n, purse)], { corrects: digest })).toEqual(byHouse);
  });

  it("names merchants that are listed, by rules that may", () => {
    expect(judged([move(3, purse, 3n)], { merchantId: "hall-1" })).toEqual(byWallet);
    expect(judged([move(3, purse, 3n)], { merchantId: "hall-2" })).toBe(
      "there is no merchant hall-2",
    );
    expect(judged([move(2, 1n, purse)], { merchantId: "hall-1" })).toBe("GIFT names no merchant");
  });

  it("knows its rules by their names, and others by none", () => {
    expect([1, 5, 6].map(judge.ruleName)).toEqual(["CHARGE", "CASH_IN", undefined]);
  });
});
