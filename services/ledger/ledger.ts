import type { Caller } from "#common/caller.ts";
import type { EvidenceReader } from "#common/intent/evidence.ts";
import type { LedgerReader } from "#common/ledger/reader.ts";
import type { Reservations } from "#common/ledger/reservations.ts";
import { type Viewer, viewerOf } from "#common/ledger/visibility.ts";
import type { PageTokens } from "#common/wire/page-token.ts";

/** What this service asks of the records. */
export type JournalEvidence = Pick<EvidenceReader, "byIntentId" | "byPrefixes">;

/** What the core needs from outside. */
export interface LedgerPorts {
  /** Of this service on this cluster. */
  readonly pageTokens: PageTokens;
  /** The engine, for one call: reads end when the signal fires. */
  readonly reader: (signal: AbortSignal) => LedgerReader;
  readonly evidence: JournalEvidence;
  readonly reservations: Reservations;
}

/** The ledger as one caller may see it, for the time of one call. Every read of this service takes one. */
export interface LedgerView {
  readonly pageTokens: PageTokens;
  readonly reader: LedgerReader;
  readonly evidence: JournalEvidence;
  readonly reservations: Reservations;
  readonly viewer: Viewer;
}

/** Opens a caller's view. `signal`: fires when the call's deadline passes or the caller leaves. */
export function viewLedger(ports: LedgerPorts, caller: Caller, signal: AbortSignal): LedgerView {
  return {
    pageTokens: ports.pageTokens,
    reader: ports.reader(signal),
    evidence: ports.evidence,
    reservations: ports.reservations,
    viewer: viewerOf(caller),
  };
}
