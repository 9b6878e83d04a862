import { ACCOUNT_FLAG } from "../rows/flags.ts";
import {
  ACCOUNT as A,
  at,
  equal64,
  equal128,
  isMax128,
  isZero128,
  ROW_WORDS,
  read64,
  write64,
} from "../rows/words.ts";
import type { Ledger } from "./ledger.ts";
import { CREATED, ACCOUNT_STATUS as S } from "./status.ts";

const LIMITS = ACCOUNT_FLAG.debitsMustNotExceedCredits | ACCOUNT_FLAG.creditsMustNotExceedDebits;

/** Applies one account event; answers its status. The checks stand in order of precedence. */
export function createAccount(
  ledger: Ledger,
  event: Uint32Array,
  o: number,
  timestamp: bigint,
): number {
  const flags = at(event, o + A.codeFlags) >>> 16;
  if (at(event, o + A.reserved) !== 0) return S.reserved_field;
  if ((flags & ~ACCOUNT_FLAG.all) !== 0) return S.reserved_flag;
  if (isZero128(event, o)) return S.id_must_not_be_zero;
  if (isMax128(event, o)) return S.id_must_not_be_int_max;

  const existing = ledger.findAccount(event, o);
  if (existing >= 0) return accountExists(ledger, event, o, existing * ROW_WORDS);

  if ((flags & LIMITS) === LIMITS) return S.flags_are_mutually_exclusive;
  if (!isZero128(event, o + A.debitsPending)) return S.debits_pending_must_be_zero;
  if (!isZero128(event, o + A.debitsPosted)) return S.debits_posted_must_be_zero;
  if (!isZero128(event, o + A.creditsPending)) return S.credits_pending_must_be_zero;
  if (!isZero128(event, o + A.creditsPosted)) return S.credits_posted_must_be_zero;
  if (at(event, o + A.ledger) === 0) return S.ledger_must_not_be_zero;
  if ((at(event, o + A.codeFlags) & 0xffff) === 0) return S.code_must_not_be_zero;

  const { accounts } = ledger;
  const slot = accounts.insert(event, o);
  accounts.words.set(event.subarray(o, o + ROW_WORDS), slot * ROW_WORDS);
  write64(accounts.words, slot * ROW_WORDS + A.timestamp, timestamp);
  accounts.noteCreated(slot);
  return CREATED;
}

function accountExists(ledger: Ledger, event: Uint32Array, o: number, e: number): number {
  const { words } = ledger.accounts;
  const codeFlags = at(event, o + A.codeFlags);
  const existingCodeFlags = at(words, e + A.codeFlags);
  if (codeFlags >>> 16 !== existingCodeFlags >>> 16) return S.exists_with_different_flags;
  if (!equal128(event, o + A.userData128, words, e + A.userData128)) {
    return S.exists_with_different_user_data_128;
  }
  if (!equal64(event, o + A.userData64, words, e + A.userData64)) {
    return S.exists_with_different_user_data_64;
  }
  if (at(event, o + A.userData32) !== at(words, e + A.userData32)) {
    return S.exists_with_different_user_data_32;
  }
  if (at(event, o + A.ledger) !== at(words, e + A.ledger)) return S.exists_with_different_ledger;
  if (codeFlags !== existingCodeFlags) return S.exists_with_different_code;
  ledger.existing = read64(words, e + A.timestamp);
  return S.exists;
}
