import { ACCOUNT_FLAG, TRANSFER_FLAG as F } from "../rows/flags.ts";
import {
  ACCOUNT as A,
  add128,
  at,
  compare128,
  copy128,
  equal128,
  isMax128,
  isZero64,
  isZero128,
  ROW_WORDS,
  read64,
  subtract128,
  TRANSFER as T,
  write64,
} from "../rows/words.ts";
import type { RowRef } from "../store/stored-transfers.ts";
import { noteHistory, setClosed } from "./account-effects.ts";
import type { Ledger } from "./ledger.ts";
import { CREATED, PENDING, TRANSFER_STATUS as S } from "./status.ts";

const EXCLUSIVE =
  F.pending | F.balancingDebit | F.balancingCredit | F.closingDebit | F.closingCredit;

/** The amount that a post or void moves. */
const amount = new Uint32Array(4);

/** Posts or voids a pending transfer; answers the status. */
export function postOrVoid(
  ledger: Ledger,
  event: Uint32Array,
  o: number,
  timestamp: bigint,
): number {
  const flags = at(event, o + T.codeFlags) >>> 16;
  const isVoid = (flags & F.voidPending) !== 0;
  if (isVoid && (flags & F.postPending) !== 0) return S.flags_are_mutually_exclusive;
  if ((flags & EXCLUSIVE) !== 0) return S.flags_are_mutually_exclusive;
  if (isZero128(event, o + T.pendingId)) return S.pending_id_must_not_be_zero;
  if (isMax128(event, o + T.pendingId)) return S.pending_id_must_not_be_int_max;
  if (equal128(event, o + T.pendingId, event, o)) return S.pending_id_must_be_different;
  if (at(event, o + T.timeout) !== 0) return S.timeout_reserved_for_pending_transfer;

  const pending = ledger.findTransfer(event, o + T.pendingId);
  if (pending === undefined || pending === "failed") return S.pending_transfer_not_found;
  const { words: p, at: y } = pending;
  if (((at(p, y + T.codeFlags) >>> 16) & F.pending) === 0) return S.pending_transfer_not_pending;

  const different = checkAgainstPending(event, o, isVoid, pending);
  if (different !== 0) return different;

  const pendingTimestamp = read64(p, y + T.timestamp);
  const state = ledger.pendingState(pendingTimestamp);
  if (state.status === PENDING.posted) return S.pending_transfer_already_posted;
  if (state.status === PENDING.voided) return S.pending_transfer_already_voided;
  if (state.status === PENDING.expired) return S.pending_transfer_expired;
  if (state.expiresAt > 0n && state.expiresAt <= timestamp) return S.pending_transfer_expired;

  const debit = ledger.findAccount(p, y + T.debitAccountId);
  const credit = ledger.findAccount(p, y + T.creditAccountId);
  if (debit < 0 || credit < 0) throw new Error("a stored transfer has lost an account");
  // The only movement that a closed account allows is voiding.
  if (!isVoid) {
    if ((ledger.accounts.flags(debit) & ACCOUNT_FLAG.closed) !== 0)
      return S.debit_account_already_closed;
    if ((ledger.accounts.flags(credit) & ACCOUNT_FLAG.closed) !== 0)
      return S.credit_account_already_closed;
  }
  ledger.log.setPending(pendingTimestamp, {
    status: isVoid ? PENDING.voided : PENDING.posted,
    expiresAt: state.expiresAt,
    stored: state.stored,
  });
  // A copy: appending may move the log's rows, among which the pending transfer may be.
  const copy = p.slice(y, y + ROW_WORDS);
  const row = appendResolution(ledger, event, o, timestamp, copy);
  releasePending(ledger, copy, 0, debit, credit, isVoid);
  if (!isVoid) addPosted(ledger, debit, credit);
  noteHistory(ledger, row, debit, credit);
  return CREATED;
}

function checkAgainstPending(
  event: Uint32Array,
  o: number,
  isVoid: boolean,
  pending: RowRef,
): number {
  const { words: p, at: y } = pending;
  const debitId = o + T.debitAccountId;
  if (!isZero128(event, debitId) && !equal128(event, debitId, p, y + T.debitAccountId)) {
    return S.pending_transfer_has_different_debit_account_id;
  }
  const creditId = o + T.creditAccountId;
  if (!isZero128(event, creditId) && !equal128(event, creditId, p, y + T.creditAccountId)) {
    return S.pending_transfer_has_different_credit_account_id;
  }
  const ledgerNumber = at(event, o + T.ledger);
  if (ledgerNumber !== 0 && ledgerNumber !== at(p, y + T.ledger)) {
    return S.pending_transfer_has_different_ledger;
  }
  const code = at(event, o + T.codeFlags) & 0xffff;
  if (code !== 0 && code !== (at(p, y + T.codeFlags) & 0xffff)) {
    return S.pending_transfer_has_different_code;
  }
  const inherits = isVoid ? isZero128(event, o + T.amount) : isMax128(event, o + T.amount);
  if (inherits) copy128(amount, 0, p, y + T.amount);
  else copy128(amount, 0, event, o + T.amount);
  const order = compare128(amount, 0, p, y + T.amount);
  if (order > 0) return S.exceeds_pending_transfer_amount;
  if (isVoid && order < 0) return S.pending_transfer_has_different_amount;
  return 0;
}

/** Appends the post's or void's own row: what it leaves zero comes from the pending transfer. */
function appendResolution(
  ledger: Ledger,
  event: Uint32Array,
  o: number,
  timestamp: bigint,
  pending: Uint32Array,
): number {
  const { log } = ledger;
  const row = log.append(event, o, timestamp);
  const { rows } = log;
  rows.set(pending, row);
  copy128(rows, row + T.id, event, o + T.id);
  copy128(rows, row + T.amount, amount, 0);
  copy128(rows, row + T.pendingId, event, o + T.pendingId);
  if (!isZero128(event, o + T.userData128)) {
    copy128(rows, row + T.userData128, event, o + T.userData128);
  }
  if (!isZero64(event, o + T.userData64)) {
    rows[row + T.userData64] = at(event, o + T.userData64);
    rows[row + T.userData64 + 1] = at(event, o + T.userData64 + 1);
  }
  const userData32 = at(event, o + T.userData32);
  if (userData32 !== 0) rows[row + T.userData32] = userData32;
  rows[row + T.timeout] = 0;
  const code = at(pending, T.codeFlags) & 0xffff;
  const flags = at(event, o + T.codeFlags) >>> 16;
  rows[row + T.codeFlags] = code | (flags << 16);
  write64(rows, row + T.timestamp, timestamp);
  return row;
}

/** Takes a pending transfer's amount out of both accounts; a void or expiry also reopens them. */
export function releasePending(
  ledger: Ledger,
  pending: Uint32Array,
  y: number,
  debit: number,
  credit: number,
  reopen: boolean,
): void {
  const { accounts } = ledger;
  accounts.touch(debit);
  accounts.touch(credit);
  const { words } = accounts;
  const d = debit * ROW_WORDS;
  const c = credit * ROW_WORDS;
  const debitAt = d + A.debitsPending;
  const creditAt = c + A.creditsPending;
  subtract128(words, debitAt, words, debitAt, pending, y + T.amount);
  subtract128(words, creditAt, words, creditAt, pending, y + T.amount);
  if (!reopen) return;
  const flags = at(pending, y + T.codeFlags) >>> 16;
  if ((flags & F.closingDebit) !== 0) setClosed(words, d, false);
  if ((flags & F.closingCredit) !== 0) setClosed(words, c, false);
}

function addPosted(ledger: Ledger, debit: number, credit: number): void {
  const { words } = ledger.accounts;
  const debitAt = debit * ROW_WORDS + A.debitsPosted;
  const creditAt = credit * ROW_WORDS + A.creditsPosted;
  add128(words, debitAt, words, debitAt, amount, 0);
  add128(words, creditAt, words, creditAt, amount, 0);
}
