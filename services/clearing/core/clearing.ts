import type { AttestedIntent, Phase } from "#common/intent/intent.ts";

/** The outcome of clearing one intent. */
export interface Clearing {
  readonly intentId: string;
  readonly digest: string;
  readonly phase: Phase;
  readonly state: "CLEARED" | "FAILED" | "UNKNOWN" | "VALIDATED";
  /** u128, in the postings' order. */
  readonly transferIds: readonly bigint[];
  /** Of the last leg, nanoseconds; 0 unless CLEARED. */
  readonly commitTimestamp: bigint;
  readonly replayed: boolean;
  /** Set if FAILED. `reason`: the ErrorReason without its prefix. `timeMs`: Unix milliseconds. */
  readonly failure: { readonly reason: string; readonly timeMs: number } | undefined;
}

export interface ClearRequest extends AttestedIntent {
  /** True: make every check, store nothing and move nothing. */
  readonly validateOnly: boolean;
}
