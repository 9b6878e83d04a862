import type { MessagePort } from "node:worker_threads";
import type { BreakerCells } from "#common/breaker.ts";
import type { Caller } from "#common/caller.ts";
import type { FieldViolation } from "#common/domain-error.ts";
import type { SignatureCounts } from "#common/intent/signature-metrics.ts";
import type { ClearingConfig } from "../config.ts";
import type { LedgerOperation } from "../drivers/tigerbeetle.ts";

/** What a thread is started with. */
export interface ThreadStart {
  readonly config: ClearingConfig;
  /** Of the service's client of the ledger, where the engine is shared. */
  readonly sharedPort: MessagePort | undefined;
  /** Of the breaker, which all threads share, and which of them this is, from 0. */
  readonly cells: BreakerCells;
  readonly thread: number;
}

/** What a thread is told. */
export type ThreadOrder =
  | {
      readonly kind: "SLICE";
      readonly id: number;
      readonly bytes: Uint8Array;
      readonly caller: Caller;
      readonly deadlineMs: number;
      readonly gently: boolean;
    }
  /** JSON of a whole request to be read, or of a whole answer to be written. */
  | { readonly kind: "READ_JSON" | "WRITE_JSON"; readonly id: number; readonly bytes: Uint8Array }
  /** Nobody waits for the slice any more. */
  | { readonly kind: "ABANDON"; readonly id: number }
  | { readonly kind: "CLOSE" };

/** What a thread tells. */
export type ThreadReport =
  /** `signatures`: those checked since the last slice. */
  | {
      readonly kind: "CLEARED";
      readonly id: number;
      readonly bytes: Uint8Array;
      readonly signatures: SignatureCounts;
    }
  | { readonly kind: "JSON"; readonly id: number; readonly bytes: Uint8Array }
  /** JSON that is wrong: what an error of the kind INVALID_FIELD says, for no class survives the way. */
  | {
      readonly kind: "REFUSED";
      readonly id: number;
      readonly message: string;
      readonly metadata: Readonly<Record<string, string>>;
      readonly violations: readonly FieldViolation[];
    }
  | { readonly kind: "FAILED"; readonly id: number; readonly error: unknown }
  | { readonly kind: "FAULT"; readonly error: unknown; readonly message: string }
  | { readonly kind: "COMMIT"; readonly timestamp: bigint }
  | {
      readonly kind: "LEDGER_ANSWER";
      readonly operation: LedgerOperation;
      readonly events: number;
      readonly durationMs: number;
    };
