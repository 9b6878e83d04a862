import type { AttestedIntent } from "#common/intent/intent.ts";
import type { LedgerReader } from "#common/ledger/reader.ts";
import type { Reservations } from "#common/ledger/reservations.ts";
import type { PageTokens } from "#common/wire/page-token.ts";
import { type Viewer, viewerOf } from "./viewer.ts";

/** What this service asks of the records. Both throw RECORDS_UNAVAILABLE. */
export interface EvidenceReader {
  /** The evidence of an intent, or undefined. */
  byIntentId(intentId: string): Promise<AttestedIntent | undefined>;
  /** The evidence of rows by their digest prefix, 24 bytes as `0x` hex; unknown ones are left out. */
  byPrefixes(prefixes: readonly string[]): Promise<ReadonlyMap<string, AttestedIntent>>;
}

/** What the core needs from outside. */
export interface LedgerPorts {
  /** Of this service on this cluster. */
  readonly pageTokens: PageTokens;
  /** The engine, for one call: reads end when the signal fires. */
  readonly reader: (signal: AbortSignal) => LedgerReader;
  readonly evidence: EvidenceReader;
  readonly reservations: Reservations;
}

/** Who asks, and until when. */
export interface Caller {
  /** The wallet, EIP-55, to which the credential is bound; undefined for operators. */
  readonly wallet: string | undefined;
  /** Fires when the call's deadline passes or the caller leaves. */
  readonly signal: AbortSignal;
}

/** The ledger as one caller may see it, for the time of one call. Every read of this service takes one. */
export interface LedgerView {
  readonly pageTokens: PageTokens;
  readonly reader: LedgerReader;
  readonly evidence: EvidenceReader;
  readonly reservations: Reservations;
  readonly viewer: Viewer;
}

/** Opens a caller's view. */
export function viewLedger(ports: LedgerPorts, caller: Caller): LedgerView {
  return {
    pageTokens: ports.pageTokens,
    reader: ports.reader(caller.signal),
    evidence: ports.evidence,
    reservations: ports.reservations,
    viewer: viewerOf(caller.wallet),
  };
}
