import { TRANSFER_FLAG as F } from "../rows/flags.ts";
import {
  at,
  compare128,
  equal64,
  equal128,
  isMax128,
  isZero64,
  isZero128,
  read64,
  TRANSFER as T,
} from "../rows/words.ts";
import type { RowRef } from "../store/stored-transfers.ts";
import type { Ledger } from "./ledger.ts";
import { TRANSFER_STATUS as S } from "./status.ts";

/** Compares an event with the stored transfer of the same id, field by field in this order. */
export function transferExists(
  ledger: Ledger,
  event: Uint32Array,
  o: number,
  existing: RowRef,
): number {
  const { words: e, at: x } = existing;
  const flags = at(event, o + T.codeFlags) >>> 16;
  if (flags !== at(e, x + T.codeFlags) >>> 16) return S.exists_with_different_flags;
  if (!equal128(event, o + T.pendingId, e, x + T.pendingId)) {
    return S.exists_with_different_pending_id;
  }
  if (at(event, o + T.timeout) !== at(e, x + T.timeout)) return S.exists_with_different_timeout;

  const status =
    (flags & (F.postPending | F.voidPending)) !== 0
      ? postOrVoidDiffers(ledger, event, o, flags, existing)
      : transferDiffers(event, o, flags, existing);
  if (status !== 0) return status;
  ledger.existing = read64(e, x + T.timestamp);
  return S.exists;
}

function transferDiffers(event: Uint32Array, o: number, flags: number, existing: RowRef): number {
  const { words: e, at: x } = existing;
  if (!equal128(event, o + T.debitAccountId, e, x + T.debitAccountId)) {
    return S.exists_with_different_debit_account_id;
  }
  if (!equal128(event, o + T.creditAccountId, e, x + T.creditAccountId)) {
    return S.exists_with_different_credit_account_id;
  }
  // The amount of a balancing transfer is an upper limit: repeating it, the limit only has to
  // reach what was moved the first time.
  const order = compare128(event, o + T.amount, e, x + T.amount);
  const balancing = (flags & (F.balancingDebit | F.balancingCredit)) !== 0;
  if (balancing ? order < 0 : order !== 0) return S.exists_with_different_amount;
  if (!equal128(event, o + T.userData128, e, x + T.userData128)) {
    return S.exists_with_different_user_data_128;
  }
  if (!equal64(event, o + T.userData64, e, x + T.userData64)) {
    return S.exists_with_different_user_data_64;
  }
  if (at(event, o + T.userData32) !== at(e, x + T.userData32)) {
    return S.exists_with_different_user_data_32;
  }
  if (at(event, o + T.ledger) !== at(e, x + T.ledger)) return S.exists_with_different_ledger;
  if ((at(event, o + T.codeFlags) & 0xffff) !== (at(e, x + T.codeFlags) & 0xffff)) {
    return S.exists_with_different_code;
  }
  return 0;
}

/** A post or void inherits what it leaves zero, so zero is compared with the pending transfer. */
function postOrVoidDiffers(
  ledger: Ledger,
  event: Uint32Array,
  o: number,
  flags: number,
  existing: RowRef,
): number {
  const { words: e, at: x } = existing;
  const pending = ledger.findTransfer(event, o + T.pendingId);
  if (pending === undefined || pending === "failed") {
    throw new Error("a stored post or void has no pending transfer");
  }
  const { words: p, at: y } = pending;
  const debitId = o + T.debitAccountId;
  if (!isZero128(event, debitId) && !equal128(event, debitId, e, x + T.debitAccountId)) {
    return S.exists_with_different_debit_account_id;
  }
  const creditId = o + T.creditAccountId;
  if (!isZero128(event, creditId) && !equal128(event, creditId, e, x + T.creditAccountId)) {
    return S.exists_with_different_credit_account_id;
  }
  const amount = o + T.amount;
  const inheritsAmount =
    (flags & F.voidPending) !== 0 ? isZero128(event, amount) : isMax128(event, amount);
  const [expected, expectedAt] = inheritsAmount ? [p, y + T.amount] : [event, amount];
  if (!equal128(expected, expectedAt, e, x + T.amount)) return S.exists_with_different_amount;
  return userDataDiffers(event, o, existing, pending);
}

function userDataDiffers(event: Uint32Array, o: number, existing: RowRef, pending: RowRef): number {
  const { words: e, at: x } = existing;
  const pick128 = isZero128(event, o + T.userData128) ? pending : { words: event, at: o };
  if (!equal128(pick128.words, pick128.at + T.userData128, e, x + T.userData128)) {
    return S.exists_with_different_user_data_128;
  }
  const pick64 = isZero64(event, o + T.userData64) ? pending : { words: event, at: o };
  if (!equal64(pick64.words, pick64.at + T.userData64, e, x + T.userData64)) {
    return S.exists_with_different_user_data_64;
  }
  const pick32 = at(event, o + T.userData32) === 0 ? pending : { words: event, at: o };
  if (at(pick32.words, pick32.at + T.userData32) !== at(e, x + T.userData32)) {
    return S.exists_with_different_user_data_32;
  }
  const ledgerNumber = at(event, o + T.ledger);
  if (ledgerNumber !== 0 && ledgerNumber !== at(e, x + T.ledger)) {
    return S.exists_with_different_ledger;
  }
  const code = at(event, o + T.codeFlags) & 0xffff;
  if (code !== 0 && code !== (at(e, x + T.codeFlags) & 0xffff)) return S.exists_with_different_code;
  return 0;
}
