import type { Faults } from "../control/faults.ts";
import type { Store } from "./store.ts";

export const apiVersion = "2026-10-28.endive";

/** What an operation works with: one request, one task or one control command, inside one transaction. */
export interface Call {
  readonly store: Store;
  readonly faults: Faults;
  readonly nowMs: number;
  /** The same in seconds, as objects tell it. */
  readonly nowSeconds: number;
  /** From a refund's creation to its end, where that comes later. */
  readonly settleMs: number;
  /** Where the simulator's own pages are, such as http://127.0.0.1:5400. */
  readonly baseUrl: string;
  /** As its events name it; null for what no request caused. */
  readonly request: { readonly id: string | null; readonly idempotency_key: string | null };
  /** True for a publishable key, which may see and do less. */
  readonly browser: boolean;
  /** Ids of the events that it made. */
  readonly events: string[];
}
