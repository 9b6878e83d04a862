import { ACCOUNT_FLAG, TRANSFER_FLAG as F } from "../rows/flags.ts";
import {
  ACCOUNT as A,
  add128,
  at,
  compare128,
  copy128,
  equal128,
  isMax128,
  isZero128,
  ROW_WORDS,
  subtract128,
  sumOverflows128,
  TRANSFER as T,
  TIMESTAMP_MAX,
  write64,
} from "../rows/words.ts";
import { noteHistory, setClosed } from "./account-effects.ts";
import type { Ledger } from "./ledger.ts";
import { postOrVoid } from "./post-or-void.ts";
import { CREATED, PENDING, TRANSFER_STATUS as S } from "./status.ts";
import { transferExists } from "./transfer-exists.ts";

/** Scratch: the amount that is moved, and sums that are only compared. */
const scratch = new Uint32Array(8);
const AMOUNT = 0;
const SUM = 4;

/** Applies one transfer event; answers its status. The checks stand in order of precedence. */
export function createTransfer(
  ledger: Ledger,
  event: Uint32Array,
  o: number,
  timestamp: bigint,
): number {
  const flags = at(event, o + T.codeFlags) >>> 16;
  if ((flags & ~F.all) !== 0) return S.reserved_flag;
  if (isZero128(event, o)) return S.id_must_not_be_zero;
  if (isMax128(event, o)) return S.id_must_not_be_int_max;

  const found = ledger.findTransfer(event, o);
  if (found === "failed") return S.id_already_failed;
  if (found) return transferExists(ledger, event, o, found);
  if ((flags & (F.postPending | F.voidPending)) !== 0) {
    return postOrVoid(ledger, event, o, timestamp);
  }

  const invalid = checkFields(event, o, flags);
  if (invalid !== 0) return invalid;

  const debit = ledger.findAccount(event, o + T.debitAccountId);
  if (debit < 0) return S.debit_account_not_found;
  const credit = ledger.findAccount(event, o + T.creditAccountId);
  if (credit < 0) return S.credit_account_not_found;

  const { words } = ledger.accounts;
  const d = debit * ROW_WORDS;
  const c = credit * ROW_WORDS;
  if (at(words, d + A.ledger) !== at(words, c + A.ledger)) {
    return S.accounts_must_have_the_same_ledger;
  }
  if (at(event, o + T.ledger) !== at(words, d + A.ledger)) {
    return S.transfer_must_have_the_same_ledger_as_accounts;
  }
  if ((ledger.accounts.flags(debit) & ACCOUNT_FLAG.closed) !== 0)
    return S.debit_account_already_closed;
  if ((ledger.accounts.flags(credit) & ACCOUNT_FLAG.closed) !== 0)
    return S.credit_account_already_closed;

  balanceAmount(event, o, flags, words, d, c);
  const refused = checkBalances(event, o, flags, timestamp, words, d, c);
  if (refused !== 0) return refused;
  apply(ledger, event, o, flags, timestamp, debit, credit);
  return CREATED;
}

function checkFields(event: Uint32Array, o: number, flags: number): number {
  const debitId = o + T.debitAccountId;
  const creditId = o + T.creditAccountId;
  if (isZero128(event, debitId)) return S.debit_account_id_must_not_be_zero;
  if (isMax128(event, debitId)) return S.debit_account_id_must_not_be_int_max;
  if (isZero128(event, creditId)) return S.credit_account_id_must_not_be_zero;
  if (isMax128(event, creditId)) return S.credit_account_id_must_not_be_int_max;
  if (equal128(event, debitId, event, creditId)) return S.accounts_must_be_different;
  if (!isZero128(event, o + T.pendingId)) return S.pending_id_must_be_zero;
  if ((flags & F.pending) === 0) {
    if (at(event, o + T.timeout) !== 0) return S.timeout_reserved_for_pending_transfer;
    if ((flags & (F.closingDebit | F.closingCredit)) !== 0) {
      return S.closing_transfer_must_be_pending;
    }
  }
  if (at(event, o + T.ledger) === 0) return S.ledger_must_not_be_zero;
  if ((at(event, o + T.codeFlags) & 0xffff) === 0) return S.code_must_not_be_zero;
  return 0;
}

/** Sets the amount that moves: the event's, or for a balancing transfer at most what balances. */
function balanceAmount(
  event: Uint32Array,
  o: number,
  flags: number,
  words: Uint32Array,
  d: number,
  c: number,
): void {
  copy128(scratch, AMOUNT, event, o + T.amount);
  if ((flags & F.balancingDebit) !== 0) {
    add128(scratch, SUM, words, d + A.debitsPosted, words, d + A.debitsPending);
    limitAmount(words, d + A.creditsPosted);
  }
  if ((flags & F.balancingCredit) !== 0) {
    add128(scratch, SUM, words, c + A.creditsPosted, words, c + A.creditsPending);
    limitAmount(words, c + A.debitsPosted);
  }
}

/** amount = min(amount, max(0, available − sum)) */
function limitAmount(words: Uint32Array, available: number): void {
  const negative = subtract128(scratch, SUM, words, available, scratch, SUM);
  if (negative) scratch.fill(0, AMOUNT, AMOUNT + 4);
  else if (compare128(scratch, SUM, scratch, AMOUNT) < 0) copy128(scratch, AMOUNT, scratch, SUM);
}

function checkBalances(
  event: Uint32Array,
  o: number,
  flags: number,
  timestamp: bigint,
  words: Uint32Array,
  d: number,
  c: number,
): number {
  if ((flags & F.pending) !== 0) {
    if (sumOverflows128(scratch, AMOUNT, words, d + A.debitsPending)) {
      return S.overflows_debits_pending;
    }
    if (sumOverflows128(scratch, AMOUNT, words, c + A.creditsPending)) {
      return S.overflows_credits_pending;
    }
  }
  if (sumOverflows128(scratch, AMOUNT, words, d + A.debitsPosted)) return S.overflows_debits_posted;
  if (sumOverflows128(scratch, AMOUNT, words, c + A.creditsPosted)) {
    return S.overflows_credits_posted;
  }
  // Pending plus posted never overflows: that is what the next two checks keep true.
  add128(scratch, SUM, words, d + A.debitsPending, words, d + A.debitsPosted);
  if (add128(scratch, SUM, scratch, SUM, scratch, AMOUNT)) return S.overflows_debits;
  const exceedsCredits =
    (at(words, d + A.codeFlags) >>> 16) & ACCOUNT_FLAG.debitsMustNotExceedCredits &&
    compare128(scratch, SUM, words, d + A.creditsPosted) > 0;
  add128(scratch, SUM, words, c + A.creditsPending, words, c + A.creditsPosted);
  if (add128(scratch, SUM, scratch, SUM, scratch, AMOUNT)) return S.overflows_credits;
  const timeout = at(event, o + T.timeout);
  if (timeout > 0 && expiryOf(timestamp, timeout) > TIMESTAMP_MAX) return S.overflows_timeout;
  if (exceedsCredits) return S.exceeds_credits;
  if (
    (at(words, c + A.codeFlags) >>> 16) & ACCOUNT_FLAG.creditsMustNotExceedDebits &&
    compare128(scratch, SUM, words, c + A.debitsPosted) > 0
  ) {
    return S.exceeds_debits;
  }
  return 0;
}

/** When a pending transfer expires: at exactly this time it is already expired. */
export function expiryOf(timestamp: bigint, timeoutSeconds: number): bigint {
  return timestamp + BigInt(timeoutSeconds) * 1_000_000_000n;
}

function apply(
  ledger: Ledger,
  event: Uint32Array,
  o: number,
  flags: number,
  timestamp: bigint,
  debit: number,
  credit: number,
): void {
  const { accounts, log } = ledger;
  const row = log.append(event, o, timestamp);
  log.rows.set(event.subarray(o, o + ROW_WORDS), row);
  copy128(log.rows, row + T.amount, scratch, AMOUNT);
  write64(log.rows, row + T.timestamp, timestamp);

  accounts.touch(debit);
  accounts.touch(credit);
  const { words } = accounts;
  const d = debit * ROW_WORDS;
  const c = credit * ROW_WORDS;
  const pending = (flags & F.pending) !== 0;
  const debitAt = d + (pending ? A.debitsPending : A.debitsPosted);
  const creditAt = c + (pending ? A.creditsPending : A.creditsPosted);
  add128(words, debitAt, words, debitAt, scratch, AMOUNT);
  add128(words, creditAt, words, creditAt, scratch, AMOUNT);
  if (pending) {
    const timeout = at(event, o + T.timeout);
    const expiresAt = timeout > 0 ? expiryOf(timestamp, timeout) : 0n;
    log.setPending(timestamp, { status: PENDING.pending, expiresAt, stored: false });
    if ((flags & F.closingDebit) !== 0) setClosed(words, d, true);
    if ((flags & F.closingCredit) !== 0) setClosed(words, c, true);
  }
  noteHistory(ledger, row, debit, credit);
}
