import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.ts";

/** What went wrong, for people. */
export interface Problem {
  /** The reason's name, such as "INSUFFICIENT_FUNDS"; "NETWORK" if nobody answered. */
  readonly reason: string;
  readonly title: string;
  readonly advice: string;
  readonly remedy: Remedy;
}

/**
 * What may follow a problem. "again": it passes, and the same call is simply made again. "ask": the same call may be
 * made again when something has changed. "over": this call never succeeds, and whatever it would have moved never moves.
 */
export type Remedy = "again" | "ask" | "over";

/** A refusal of Studio's own server. */
export class StudioError extends Error {
  readonly reason: string;

  constructor(reason: string, message: string) {
    super(message);
    this.reason = reason;
  }
}

type Words = readonly [title: string, advice: string];

const again =
  "Nothing is lost: the same intent is asked about again, and it clears once or not at all.";

const words: Readonly<Record<string, Words>> = {
  NETWORK: ["The mesh does not answer", "Check that it is running and that this device is online."],
  EDGE_UNAVAILABLE: ["The mesh does not answer", again],
  EDGE_TIMEOUT: ["The answer did not come in time", again],
  INSUFFICIENT_FUNDS: [
    "Your balance does not cover this",
    "Nothing has moved. Get test money from the faucet and buy again.",
  ],
  INTENT_FAILED: ["This purchase failed before", "It is closed for good. Start a new one."],
  INTENT_EXPIRED: [
    "This purchase has expired",
    "Nothing has moved, and nothing will. Start a new one.",
  ],
  INTENT_NOT_YET_VALID: ["This device's clock is ahead", "Set it right and try again."],
  INTENT_ID_REUSED: ["This purchase's number is taken", "Start a new one."],
  ACCOUNT_NOT_FOUND: [
    "Your wallet has no account yet",
    "The faucet opens it with your first test money.",
  ],
  ACCOUNT_CLOSED: ["An account of this purchase is closed", "Nothing has moved."],
  LIMIT_EXCEEDED: ["This is more than the mesh moves at once", "Buy less at a time."],
  RATE_LIMITED: ["That was too often", "Wait a minute and try again."],
  APPROVAL_REQUIRED: [
    "Others have to approve this",
    "Nothing has moved. It is more than anybody moves alone today: tell the operator.",
  ],
  POSTING_NOT_ALLOWED: ["The mesh does not allow this booking", "Nothing has moved."],
  WALLET_SIGNATURE_INVALID: ["The signature is not your wallet's", "Nothing has moved."],
  ATTESTATION_INVALID: ["The attestation does not belong to this purchase", "Nothing has moved."],
  SIGNER_NOT_TRUSTED: [
    "The Attestor's signer is not trusted",
    "Nothing has moved. Tell the operator.",
  ],
  OUTCOME_UNKNOWN: ["The answer got lost on the way", again],
  NOT_SENT: ["The ledger was too busy", "Nothing has moved. Try again."],
  LEDGER_UNAVAILABLE: ["The ledger does not answer", again],
  RECORDS_UNAVAILABLE: ["The records do not answer", again],
  SIGNER_UNAVAILABLE: ["The Attestor cannot sign just now", "Nothing has moved. Try again."],
  DRAINING: ["A part of the mesh is restarting", again],
  CREDENTIALS_MISSING: ["You are not signed in", "Reload the page."],
  CREDENTIALS_INVALID: ["Your session has ended", "Reload the page."],
  SCOPE_MISSING: ["Your wallet may not see this", "It belongs to another wallet."],
  INTENT_NOT_FOUND: [
    "There is no such entry",
    "Check the number, or it belongs to another wallet.",
  ],
  NO_TOKENS: [
    "This mesh gives no tokens to browsers",
    "Nobody has set up how one signs in here. Tell the operator.",
  ],
  SIGN_IN_REFUSED: ["You were not signed in", "Try again. If it stays so, tell the operator."],
  SIGN_IN_UNAVAILABLE: ["Who knows people here does not answer", "Try again in a moment."],
  SESSION_EXPIRED: ["Your session is over", "Sign in again."],
  DIGEST_DIFFERS: [
    "The mesh answered about something else",
    "The digest is not that of what you signed, and your signature holds for no other. Tell the operator.",
  ],
  INTENT_DIFFERS: [
    "The mesh proposed something else than you ordered",
    "It was not signed, and nothing has moved. Tell the operator.",
  ],
  UNKNOWN_FORM: [
    "This app cannot explain what it would sign",
    "The mesh signs a form of intent that this app does not know. Nothing has moved.",
  ],
  AMOUNT_MISMATCH: [
    "The price is another one by now",
    "Nothing was charged. Look at the basket and order again.",
  ],
  ORDER_ID_REUSED: ["This order's number is taken", "Start a new one."],
  PAYMENT_METHOD_UNAVAILABLE: [
    "This mesh does not take that payment",
    "Nothing was charged. Pay another way.",
  ],
  PAYMENTS_UNAVAILABLE: ["The card payments do not answer", again],
  PAYMENT_DECLINED: ["The card was declined", "Nothing was charged. Try another card."],
  PAYMENT_ACTION_REQUIRED: ["Your bank wants to hear from you", "Pay again and confirm it."],
  CHECKOUT_CANCELLED: [
    "This order was cancelled",
    "Before anybody paid it. Nothing was charged, and nothing has moved.",
  ],
  CHECKOUT_UNPAID: [
    "This order was cancelled",
    "Nobody paid it in time. Nothing was charged, and nothing has moved.",
  ],
  NOT_CANCELLABLE: [
    "This order is no longer open",
    "Nothing was cancelled: look at how it stands.",
  ],
  CHECKOUT_NOT_FOUND: [
    "There is no such order",
    "Check the number, or it belongs to another wallet.",
  ],
  INTERNAL: ["The mesh made a mistake", "It has been logged. Nothing is lost: you can ask again."],
};

const passing = new Set([
  "NETWORK",
  "EDGE_UNAVAILABLE",
  "EDGE_TIMEOUT",
  "OUTCOME_UNKNOWN",
  "NOT_SENT",
  "LEDGER_UNAVAILABLE",
  "RECORDS_UNAVAILABLE",
  "SIGNER_UNAVAILABLE",
  "DRAINING",
  "PAYMENTS_UNAVAILABLE",
  "SIGN_IN_UNAVAILABLE",
  "INTERNAL",
]);

// Only what the mesh itself makes final belongs here: after a lost answer and then, say, an expired session, the first
// attempt may well have cleared.
const final = new Set([
  "INSUFFICIENT_FUNDS",
  "INTENT_FAILED",
  "INTENT_EXPIRED",
  "INTENT_ID_REUSED",
  "ACCOUNT_CLOSED",
  "INVALID_FIELD",
  "POSTING_NOT_ALLOWED",
  "LEDGERS_DIFFER",
  "LIMIT_EXCEEDED",
  "WALLET_SIGNATURE_INVALID",
  "ATTESTATION_INVALID",
  "DIGEST_DIFFERS",
  "INTENT_DIFFERS",
  "UNKNOWN_FORM",
  "AMOUNT_MISMATCH",
  "ORDER_ID_REUSED",
  "PAYMENT_METHOD_UNAVAILABLE",
  "CHECKOUT_CANCELLED",
  "CHECKOUT_UNPAID",
]);

function remedyOf(reason: string): Remedy {
  if (passing.has(reason)) return "again";
  return final.has(reason) ? "over" : "ask";
}

/** Explains an error. Goes by the reason, never by the message. */
export function explain(error: unknown): Problem {
  const reason = reasonOf(error);
  const [title, advice] = words[reason] ?? ["This did not work", messageOf(error)];
  return { reason, title, advice, remedy: remedyOf(reason) };
}

/** Explains what has only a reason. */
export function explainReason(reason: string): Problem {
  const [title, advice] = words[reason] ?? ["This did not work", "The operator can tell why."];
  return { reason, title, advice, remedy: remedyOf(reason) };
}

/** The reason that an error names; "NETWORK" if it never reached a service, "INTERNAL" if it names none. */
export function reasonOf(error: unknown): string {
  if (error instanceof StudioError) return error.reason;
  const connect = ConnectError.from(error);
  const reason = connect.findDetails(ErrorInfoSchema)[0]?.reason;
  if (reason !== undefined) return reason;
  // Without a reason it was not a service of ours that answered, but the network, or Envoy without one behind it.
  const lost: readonly Code[] = [
    Code.Unavailable,
    Code.Unknown,
    Code.DeadlineExceeded,
    Code.Aborted,
  ];
  return lost.includes(connect.code) ? "NETWORK" : "INTERNAL";
}

function messageOf(error: unknown): string {
  return error instanceof StudioError ? error.message : ConnectError.from(error).rawMessage;
}
