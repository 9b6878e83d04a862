import type { ErrorCodes } from "tigerbeetle-node";
import { DomainError } from "#common/domain-error.ts";
import type { EmbeddedLedgerErrorCode } from "#engine/errors.ts";

/**
 * Of each error that a client of an engine knows: whether the ledger is away, so that the same request may be answered
 * later. Everything else stands for a fault of ours, which no waiting mends. Total, so that a new one does not
 * compile before somebody has decided.
 */
const isAway = {
  ERR_CLIENT_CLOSED: true,
  ERR_CLIENT_EVICTED: true,
  // Evicted as well, because cluster and client are being upgraded one after the other.
  ERR_CLIENT_RELEASE_TOO_LOW: true,
  ERR_CLIENT_RELEASE_TOO_HIGH: true,
  ERR_TOO_MUCH_DATA: false,
  // Clearing makes the file, at its first start.
  ERR_EMBEDDED_MISSING: true,
  ERR_EMBEDDED_BUSY: true,
  ERR_EMBEDDED_DISK_FULL: true,
  ERR_EMBEDDED_IO: true,
  ERR_EMBEDDED_STOPPED: true,
  ERR_EMBEDDED_IMPORTED_REFUSED: false,
  ERR_EMBEDDED_CLUSTER_MISMATCH: false,
  ERR_EMBEDDED_SCHEMA_TOO_NEW: false,
  ERR_EMBEDDED_CORRUPT: false,
  ERR_EMBEDDED_READ_ONLY: false,
  ERR_EMBEDDED_CANNOT_OPEN: false,
} as const satisfies Record<ErrorCodes | EmbeddedLedgerErrorCode, boolean>;

const awayCodes = new Set(Object.entries(isAway).flatMap(([code, away]) => (away ? [code] : [])));

/**
 * The one rule of when the ledger is away, for an error of a client: it was closed, evicted or cut off, or its engine
 * can neither read nor write now. False for a request that is malformed or too large, and for everything unknown.
 */
export function isLedgerAway(error: unknown): boolean {
  return error instanceof Error && "code" in error && awayCodes.has(String(error.code));
}

/** The refusal when the ledger is away or silent. `retryAfterMs`: when to come back. */
export function ledgerUnavailable(
  retryAfterMs: number,
  cause?: unknown,
): DomainError<"LEDGER_UNAVAILABLE"> {
  return new DomainError("LEDGER_UNAVAILABLE", "the ledger does not answer", {
    cause,
    retryAfterMs,
  });
}

/** Whether the embedded engine had no space for a request: nothing of it is stored, nor will be. */
export function isLedgerFull(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_EMBEDDED_DISK_FULL";
}

/** Whether the embedded engine's file is not there, for a client that does not make it. */
export function isLedgerMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_EMBEDDED_MISSING";
}
