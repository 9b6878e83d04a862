import type { Caller } from "#common/caller.ts";
import { DomainError } from "#common/domain-error.ts";
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

/** Refuses a caller whose credentials are bound to another wallet. Throws SCOPE_MISSING. */
export function requireOwnWallet(caller: Caller, wallet: string): void {
  if (caller.wallet === undefined || caller.wallet === wallet) return;
  throw new DomainError("SCOPE_MISSING", `the token is bound to the wallet ${caller.wallet}`, {
    metadata: { wallet: caller.wallet },
  });
}
