import type { IntentDomain } from "#common/intent/digest.ts";
import type { EngineConfig } from "#common/tigerbeetle/open-client.ts";

/** What a load process does. Everything it sends is made before the clock starts. */
export type LoadTask = RpcTask | RawTask;

export interface RpcTask {
  readonly kind:
    | "clear-batch"
    | "clear-tree"
    | "attest-batch"
    | "clear"
    | "attest"
    | "verify"
    | "attest-and-clear"
    | "create-checkout";
  /** host:port of what takes the first call, and of Clearing where a second one follows. */
  readonly address: string;
  readonly clearingAddress?: string;
  readonly token: string;
  /** Whether each intent is a purchase that its wallet signs; otherwise it is a funding by the house. */
  readonly walletSigns: boolean;
  /** Intents in one call: above 1 only for batches and trees, 2 at least for "clear-tree". */
  readonly perCall: number;
  readonly pace: Pace;
  readonly connections: number;
  readonly seconds: number;
  /** The most calls that are made; what is prepared. */
  readonly callsMax: number;
  readonly domain: IntentDomain;
  /** Private keys as hex. */
  readonly attestorKey: string;
  readonly walletKeys: readonly string[];
}

/** Calls under way at once, each followed by the next; or calls started a second, whether the last have ended or not. */
export type Pace = { readonly inFlight: number } | { readonly perSecond: number };

/** Batches of transfers by the client itself: the limit of everything else. */
export interface RawTask {
  readonly kind: "raw";
  readonly engine: EngineConfig;
  readonly seconds: number;
}

/** What a load process measured. */
export interface LoadResult {
  /** Intents, or transfers of a raw task, that were done. */
  readonly done: number;
  readonly failed: number;
  readonly firstFailure: string | undefined;
  /** From the first start to the last end. */
  readonly seconds: number;
  /** Of each call, sorted, in milliseconds. At a pace per second from when it was due, so that no wait is hidden. */
  readonly latenciesMs: readonly number[];
  /** CPU of the load process itself while it ran, in seconds. */
  readonly cpuSeconds: number;
}

export type LoadMessage =
  | { readonly prepared: true }
  | { readonly result: LoadResult }
  | { readonly error: string };
