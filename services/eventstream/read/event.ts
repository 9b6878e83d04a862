import type { EvidenceReader } from "#common/intent/evidence.ts";
import type { AttestedIntent, Phase } from "#common/intent/intent.ts";
import type { AccountRecord } from "#common/ledger/reader.ts";
import type { CommittedTransfer } from "#common/ledger/transfer-rows.ts";
import type { Position } from "#common/wire/cursor.ts";

export const eventTypes = [
  "CLEARED",
  "PENDED",
  "POSTED",
  "VOIDED",
  "EXPIRED",
  "ACCOUNT_OPENED",
] as const;

export type EventType = (typeof eventTypes)[number];

/** One thing that the ledger committed. Immutable and shared by everyone who hears of it. */
export interface StreamEvent {
  readonly position: Position;
  readonly type: EventType;
  /** In the order of their timestamps; empty for ACCOUNT_OPENED. For EXPIRED those that reserved and ran out. */
  readonly transfers: readonly CommittedTransfer[];
  /** Only for ACCOUNT_OPENED. */
  readonly account: AccountRecord | undefined;
  /** Only if every transfer equals what the evidence derives. */
  readonly evidence: AttestedIntent | undefined;
}

const typeOfPhase: Readonly<Record<Phase, EventType>> = {
  IMMEDIATE: "CLEARED",
  PENDING: "PENDED",
  POST_PENDING: "POSTED",
  VOID_PENDING: "VOIDED",
};

/** What a chain of transfers is. Its first leg decides: only a chain written past Clearing mixes phases. */
export function typeOfChain(chain: readonly CommittedTransfer[]): EventType {
  const [first] = chain;
  if (first === undefined) throw new RangeError("a chain has at least one transfer");
  return typeOfPhase[first.phase];
}

/** What removes duplicates over reconnects: the place of an event in the order of its cluster. */
export function eventId(
  clusterId: bigint,
  { timestamp, kind, pendingTimestamp }: Position,
): string {
  const instant = `${clusterId}-${timestamp}`;
  return kind === "COMMIT" ? instant : `${instant}-${kind}-${pendingTimestamp}`;
}

/** How the evidence of chains is found. */
export type ChainEvidence = Pick<EvidenceReader, "byPrefixes">;

/** What the core needs of the records. Every call may throw RECORDS_UNAVAILABLE. */
export interface RecordsReads {
  readonly evidence: ChainEvidence;
  /**
   * A page of the PENDING intents with a timeout whose reservation may still be open at an instant (unix seconds),
   * after the last one of the page before. A page that is shorter than `limit` is the last.
   */
  pendingsOpenAt(
    seconds: bigint,
    after: AttestedIntent | undefined,
    limit: number,
  ): Promise<AttestedIntent[]>;
  /** The POST and VOID intents that name one of these pending intents. */
  resolutionsOf(pendingIntentIds: readonly string[]): Promise<AttestedIntent[]>;
}
