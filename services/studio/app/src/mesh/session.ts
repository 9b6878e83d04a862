import { createStore, type Store } from "../store.ts";
import type { DemoWallet } from "../wallet/demo-wallet.ts";
import { explain, type Problem, StudioError } from "./problem.ts";

/** How the session of a wallet stands. */
export interface SessionState {
  /** Epoch milliseconds; undefined while there is no token. */
  readonly expiresAtMs: number | undefined;
  readonly problem: Problem | undefined;
}

/** Short-lived tokens that are bound to a wallet, renewed before they expire. */
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
const requestMsMax = 10_000;

export function openSession(wallet: DemoWallet): Session {
  const state = createStore<SessionState>({ expiresAtMs: undefined, problem: undefined });
  let current: { readonly token: string; readonly expiresAtMs: number } | undefined;
  let asking: Promise<string> | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let closed = false;

  function renewIn(ms: number): void {
    clearTimeout(timer);
    if (!closed) timer = setTimeout(() => void renew().catch(() => undefined), Math.max(ms, 1_000));
  }

  /** One at a time: whoever asks meanwhile gets the same answer. */
  function renew(): Promise<string> {
    asking ??= requestToken(wallet)
      .then(
        (fresh) => {
          current = fresh;
          state.set({ expiresAtMs: fresh.expiresAtMs, problem: undefined });
          renewIn(fresh.expiresAtMs - Date.now() - renewMs);
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

/** Proves that the wallet is held by signing a fresh challenge. */
async function requestToken(wallet: DemoWallet) {
  const challenge = await postJson("/dev/challenge", { wallet: wallet.address });
  const answer = await postJson("/dev/token", {
    nonce: String(challenge["nonce"]),
    signature: wallet.signText(String(challenge["message"])),
  });
  return { token: String(answer["token"]), expiresAtMs: Number(answer["expiresAtMs"]) };
}

/** Posts JSON to Studio's server. Rejects with StudioError, which carries the reason it gives. */
export async function postJson(
  path: string,
  body: Readonly<Record<string, string>>,
  token?: string,
): Promise<Readonly<Record<string, unknown>>> {
  const response = await fetch(path, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(requestMsMax),
  }).catch((error: unknown) => {
    throw new StudioError("NETWORK", String(error));
  });
  const answer = (await response.json().catch(() => ({}))) as Readonly<Record<string, unknown>>;
  if (response.ok) return answer;
  const known = typeof answer["reason"] === "string" ? answer["reason"] : undefined;
  const reason = known ?? (response.status === 404 ? "NO_TOKENS" : "NETWORK");
  throw new StudioError(reason, String(answer["message"] ?? `status ${response.status}`));
}
