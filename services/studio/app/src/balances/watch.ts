import type { Client } from "@connectrpc/connect";
import type {
  EventStreamService,
  WatchBalancesResponse,
} from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import type { Balance } from "#gen/sovr/ledger/v1/balance_pb.ts";
import { type Connection, followStream, pause } from "../mesh/follow-stream.ts";
import type { Problem } from "../mesh/problem.ts";
import { createStore, type Store } from "../store.ts";

/** The dollars of a wallet, as they change. */
export interface BalanceState {
  readonly connection: Connection;
  readonly problem: Problem | undefined;
  readonly balance: Balance | undefined;
  /** When the stream last said something, in epoch milliseconds: the balance was right then. */
  readonly heardMs: number | undefined;
  /** True if the wallet has no account yet. */
  readonly unopened: boolean;
}

export interface BalanceWatch {
  readonly state: Store<BalanceState>;
  /** Looks now instead of waiting for the next attempt: the account may just have been opened. */
  look(): void;
  close(): void;
}

export interface BalanceOptions {
  readonly client: Pick<Client<typeof EventStreamService>, "watchBalances">;
  readonly wallet: string;
  readonly ledger: number;
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** EventStream repeats itself at least every fifteen seconds. */
const silenceMsMax = 40_000;

export function openBalanceWatch(options: BalanceOptions): BalanceWatch {
  const { client, wallet, ledger, wait = pause } = options;
  let look: () => void = () => undefined;
  const closed = new AbortController();
  const state = createStore<BalanceState>({
    connection: "connecting",
    problem: undefined,
    balance: undefined,
    heardMs: undefined,
    unopened: false,
  });
  void followStream<WatchBalancesResponse>(
    {
      open: (signal) => client.watchBalances({ wallets: [wallet], ledger }, { signal }),
      onMessage({ balances }) {
        const balance = balances.at(-1) ?? state.get().balance;
        state.set({ ...state.get(), balance, heardMs: Date.now(), unopened: false });
      },
      onConnection(connection, problem) {
        const unopened = problem?.reason === "ACCOUNT_NOT_FOUND";
        state.set({
          ...state.get(),
          connection,
          problem: unopened || connection === "live" ? undefined : (problem ?? state.get().problem),
          unopened: unopened || (connection !== "live" && state.get().unopened),
          ...(unopened ? { balance: undefined } : {}),
        });
      },
      silenceMsMax,
      wait: (ms, signal) => {
        const waiting = new AbortController();
        look = () => waiting.abort();
        return wait(ms, AbortSignal.any([signal, waiting.signal]));
      },
    },
    closed.signal,
  );
  return { state, look: () => look(), close: () => closed.abort() };
}
