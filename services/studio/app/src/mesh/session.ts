import { createStore, type Store } from "../store.ts";
import { explain, type Problem } from "./problem.ts";
import type { Token } from "./sign-in.ts";

/** How the session of a wallet stands. */
export interface SessionState {
  /** Epoch milliseconds; undefined while there is no token. */
  readonly expiresAtMs: number | undefined;
  readonly problem: Problem | undefined;
}

/** Short-lived tokens, renewed before they expire. */
export interface Session {
  readonly state: Store<SessionState>;
  /** A token that is good for a while yet. Rejects with StudioError, or TypeError if nobody answers. */
  token(): Promise<string>;
  /** Forgets a token that was refused. */
  refuse(token: string): void;
  close(): void;
}

/** A token with less left than this is not used for a new call. */
const marginMs = 60_000;
/** When it is renewed, unless a call needs it before: so long before it expires. */
const renewMs = 180_000;
const retryMs = 5_000;

/** `request`: asks for a token. */
export function openSession(request: () => Promise<Token>): Session {
  const state = createStore<SessionState>({ expiresAtMs: undefined, problem: undefined });
  let current: Token | undefined;
  let asking: Promise<string> | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let closed = false;

  function renewIn(ms: number): void {
    clearTimeout(timer);
    if (!closed) timer = setTimeout(() => void renew().catch(() => undefined), Math.max(ms, 1_000));
  }

  /** One at a time: whoever asks meanwhile gets the same answer. */
  function renew(): Promise<string> {
    asking ??= request()
      .then(
        (fresh) => {
          current = fresh;
          state.set({ expiresAtMs: fresh.expiresAtMs, problem: undefined });
          const leftMs = fresh.expiresAtMs - Date.now();
          // A session that is about to end gives tokens that live shorter than that.
          renewIn(Math.max(leftMs - renewMs, leftMs / 2));
          return fresh.token;
        },
        (error: unknown) => {
          state.set({ ...state.get(), problem: explain(error) });
          renewIn(retryMs);
          throw error;
        },
      )
      .finally(() => {
        asking = undefined;
      });
    return asking;
  }

  return {
    state,
    async token() {
      const good = current !== undefined && current.expiresAtMs - Date.now() > marginMs;
      return good && current !== undefined ? current.token : renew();
    },
    refuse(token) {
      if (current?.token === token) current = undefined;
    },
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}
