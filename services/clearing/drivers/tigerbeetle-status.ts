import { type CreateTransferResult, CreateTransferStatus } from "tigerbeetle-node";
import type { LegFault, WriteOutcome } from "../core/ports.ts";

/** What the ledger did with a chain, by its answers to the legs. Throws Error for an answer to a row that is no intent's. */
export function chainOutcome(results: readonly CreateTransferResult[]): WriteOutcome {
  const meanings = results.map(({ status }) => meaningOf(status));
  // In a chain that breaks, only the leg that broke it tells why.
  const leg = meanings.findIndex(
    (meaning) => meaning !== "CREATED" && meaning !== "NEIGHBOUR_FAILED",
  );
  const meaning = meanings[leg];
  const last = results.at(-1);
  switch (meaning) {
    case undefined:
      if (last === undefined || meanings.includes("NEIGHBOUR_FAILED")) {
        throw new Error("a chain broke and no leg says why");
      }
      return { kind: "CREATED", timestamp: last.timestamp };
    case "CREATED":
    case "NEIGHBOUR_FAILED":
      throw new Error("unreachable");
    case "EXISTS":
    case "OTHER_CONTENT":
    case "ALREADY_FAILED":
      return { kind: meaning };
    case "FAULT":
      throw new Error(`leg ${leg} was answered ${statusName(results[leg]?.status)}`);
    default:
      return { kind: "REFUSED", leg, fault: meaning };
  }
}

/**
 * TigerBeetle looks for the id first: a transfer that has it answers `exists_with_different_*`, a burned id
 * `id_already_failed`. Only then it misses the account, and burns the id.
 */
export function fenceOutcome([result]: readonly CreateTransferResult[]): "DEAD" | "TAKEN" {
  const meaning = result === undefined ? "FAULT" : meaningOf(result.status);
  if (meaning === "DEBIT_ACCOUNT_NOT_FOUND" || meaning === "ALREADY_FAILED") return "DEAD";
  if (meaning === "OTHER_CONTENT") return "TAKEN";
  throw new Error(`a fence was answered ${statusName(result?.status)}`);
}

function statusName(status: CreateTransferStatus | undefined): string {
  return status === undefined ? "nothing" : (CreateTransferStatus[status] ?? String(status));
}

/** What TigerBeetle's answer to one transfer of a chain means for the chain. */
type LegMeaning =
  | "CREATED"
  | "EXISTS"
  | "OTHER_CONTENT"
  | "ALREADY_FAILED"
  /** It would have been created, had its neighbours. */
  | "NEIGHBOUR_FAILED"
  | LegFault;

/** Every status; a new one does not compile until it is given a meaning. */
const meanings = {
  created: "CREATED",
  linked_event_failed: "NEIGHBOUR_FAILED",
  exists: "EXISTS",
  id_already_failed: "ALREADY_FAILED",

  exists_with_different_flags: "OTHER_CONTENT",
  exists_with_different_pending_id: "OTHER_CONTENT",
  exists_with_different_timeout: "OTHER_CONTENT",
  exists_with_different_debit_account_id: "OTHER_CONTENT",
  exists_with_different_credit_account_id: "OTHER_CONTENT",
  exists_with_different_amount: "OTHER_CONTENT",
  exists_with_different_user_data_128: "OTHER_CONTENT",
  exists_with_different_user_data_64: "OTHER_CONTENT",
  exists_with_different_user_data_32: "OTHER_CONTENT",
  exists_with_different_ledger: "OTHER_CONTENT",
  exists_with_different_code: "OTHER_CONTENT",

  // These burn the id: the intent is dead for ever.
  debit_account_not_found: "DEBIT_ACCOUNT_NOT_FOUND",
  credit_account_not_found: "CREDIT_ACCOUNT_NOT_FOUND",
  pending_transfer_not_found: "PENDING_NOT_FOUND",
  exceeds_credits: "OVERDRAWN",
  debit_account_already_closed: "DEBIT_ACCOUNT_CLOSED",
  credit_account_already_closed: "CREDIT_ACCOUNT_CLOSED",

  // These burn nothing, and yet no retry can ever end otherwise: a pending transfer is resolved once.
  pending_transfer_already_posted: "PENDING_ALREADY_POSTED",
  pending_transfer_already_voided: "PENDING_ALREADY_VOIDED",
  pending_transfer_expired: "PENDING_EXPIRED",

  overflows_debits_pending: "BALANCE_OVERFLOW",
  overflows_credits_pending: "BALANCE_OVERFLOW",
  overflows_debits_posted: "BALANCE_OVERFLOW",
  overflows_credits_posted: "BALANCE_OVERFLOW",
  overflows_debits: "BALANCE_OVERFLOW",
  overflows_credits: "BALANCE_OVERFLOW",

  // What the checks before the write rule out, or what no row of ours can meet.
  exceeds_debits: "FAULT",
  pending_transfer_not_pending: "FAULT",
  pending_transfer_has_different_debit_account_id: "FAULT",
  pending_transfer_has_different_credit_account_id: "FAULT",
  pending_transfer_has_different_ledger: "FAULT",
  pending_transfer_has_different_code: "FAULT",
  pending_transfer_has_different_amount: "FAULT",
  exceeds_pending_transfer_amount: "FAULT",
  accounts_must_have_the_same_ledger: "FAULT",
  transfer_must_have_the_same_ledger_as_accounts: "FAULT",
  overflows_timeout: "FAULT",
  linked_event_chain_open: "FAULT",
  timestamp_must_be_zero: "FAULT",
  reserved_flag: "FAULT",
  id_must_not_be_zero: "FAULT",
  id_must_not_be_int_max: "FAULT",
  flags_are_mutually_exclusive: "FAULT",
  debit_account_id_must_not_be_zero: "FAULT",
  debit_account_id_must_not_be_int_max: "FAULT",
  credit_account_id_must_not_be_zero: "FAULT",
  credit_account_id_must_not_be_int_max: "FAULT",
  accounts_must_be_different: "FAULT",
  pending_id_must_be_zero: "FAULT",
  pending_id_must_not_be_zero: "FAULT",
  pending_id_must_not_be_int_max: "FAULT",
  pending_id_must_be_different: "FAULT",
  timeout_reserved_for_pending_transfer: "FAULT",
  closing_transfer_must_be_pending: "FAULT",
  ledger_must_not_be_zero: "FAULT",
  code_must_not_be_zero: "FAULT",
  imported_event_expected: "FAULT",
  imported_event_not_expected: "FAULT",
  imported_event_timestamp_out_of_range: "FAULT",
  imported_event_timestamp_must_not_advance: "FAULT",
  imported_event_timestamp_must_not_regress: "FAULT",
  imported_event_timestamp_must_postdate_debit_account: "FAULT",
  imported_event_timestamp_must_postdate_credit_account: "FAULT",
  imported_event_timeout_must_be_zero: "FAULT",
} as const satisfies Record<keyof typeof CreateTransferStatus, LegMeaning>;

/** The meaning of a status; a number that this client does not know is a fault. */
function meaningOf(status: CreateTransferStatus): LegMeaning {
  const name = CreateTransferStatus[status];
  return name === undefined ? "FAULT" : meanings[name as keyof typeof meanings];
}
