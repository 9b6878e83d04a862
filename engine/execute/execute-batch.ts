import { ACCOUNT as A, at, isZero64, RESULT_WORDS, ROW_WORDS, write64 } from "../rows/words.ts";
import type { Ledger } from "./ledger.ts";
import { CREATED, isTransient, TRANSFER_STATUS } from "./status.ts";

const LINKED = 1;
// These three have the same numbers for accounts and transfers.
const FAILED = TRANSFER_STATUS.linked_event_failed;
const CHAIN_OPEN = TRANSFER_STATUS.linked_event_chain_open;
const TIMESTAMP_MUST_BE_ZERO = TRANSFER_STATUS.timestamp_must_be_zero;
const TRANSFER_EXISTS = TRANSFER_STATUS.exists;
const ACCOUNT_EXISTS = 21;

export type EventRule = (
  ledger: Ledger,
  event: Uint32Array,
  o: number,
  timestamp: bigint,
) => number;

export type EventKind = "account" | "transfer";

/**
 * Applies the events of one call in order and writes one result for each. Event `i` has timestamp
 * `base + 1 + i`, whether it succeeds or not. A chain is a run of events with the linked flag and
 * the event after them; it stands or falls as one.
 */
export function executeBatch(
  ledger: Ledger,
  kind: EventKind,
  rule: EventRule,
  events: Uint32Array,
  first: number,
  count: number,
  base: bigint,
  results: Uint32Array,
): void {
  let chainStart = -1;
  let broken = false;
  const exists = kind === "account" ? ACCOUNT_EXISTS : TRANSFER_EXISTS;
  for (let i = 0; i < count; i++) {
    const o = (first + i) * ROW_WORDS;
    const timestamp = base + 1n + BigInt(i);
    const linked = ((at(events, o + A.codeFlags) >>> 16) & LINKED) !== 0;
    if (linked && chainStart < 0) {
      chainStart = i;
      ledger.accounts.openChain();
      ledger.log.openChain();
    }
    let status: number;
    if (linked && i === count - 1) status = CHAIN_OPEN;
    else if (broken) status = FAILED;
    else if (!isZero64(events, o + A.timestamp)) status = TIMESTAMP_MUST_BE_ZERO;
    else status = rule(ledger, events, o, timestamp);

    const resultAt = (first + i) * RESULT_WORDS;
    write64(results, resultAt, status === exists ? ledger.existing : timestamp);
    results[resultAt + 2] = status;
    results[resultAt + 3] = 0;
    if (status !== CREATED) {
      if (chainStart >= 0 && !broken) {
        broken = true;
        breakChain(ledger, results, first + chainStart, first + i);
      }
      // After the chain was taken back: a burnt id outlives the chain in which it failed.
      if (kind === "transfer" && isTransient(status)) ledger.log.fail(events, o, timestamp);
    }
    if (chainStart >= 0 && (!linked || status === CHAIN_OPEN)) {
      if (!broken) {
        ledger.accounts.keepChain();
        ledger.log.keepChain();
      }
      chainStart = -1;
      broken = false;
    }
  }
}

function breakChain(ledger: Ledger, results: Uint32Array, start: number, end: number): void {
  ledger.accounts.discardChain();
  ledger.log.discardChain();
  for (let index = start; index < end; index++) results[index * RESULT_WORDS + 2] = FAILED;
}
