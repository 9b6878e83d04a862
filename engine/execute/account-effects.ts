import { ACCOUNT_FLAG } from "../rows/flags.ts";
import { ACCOUNT as A, at, ROW_WORDS } from "../rows/words.ts";
import type { Ledger } from "./ledger.ts";

/** Sets or clears the closed flag of the account row at `a`. */
export function setClosed(words: Uint32Array, a: number, closed: boolean): void {
  const word = at(words, a + A.codeFlags);
  const bit = ACCOUNT_FLAG.closed << 16;
  words[a + A.codeFlags] = closed ? word | bit : word & ~bit;
}

/** Keeps the balances after a transfer for the accounts that have the history flag. */
export function noteHistory(ledger: Ledger, row: number, debit: number, credit: number): void {
  const { accounts, log } = ledger;
  if ((accounts.flags(debit) & ACCOUNT_FLAG.history) !== 0) {
    log.noteBalances(row, 0, accounts.words, debit * ROW_WORDS + A.debitsPending);
  }
  if ((accounts.flags(credit) & ACCOUNT_FLAG.history) !== 0) {
    log.noteBalances(row, 1, accounts.words, credit * ROW_WORDS + A.debitsPending);
  }
}
