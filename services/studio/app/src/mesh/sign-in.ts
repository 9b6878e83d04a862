import type { DemoWallet } from "../wallet/demo-wallet.ts";
import { postJson } from "./post-json.ts";
import { StudioError } from "./problem.ts";

/** A person who has signed in at a provider of identities. */
export interface Person {
  readonly subject: string;
  readonly name: string;
  readonly roles: readonly string[];
}

export interface Token {
  readonly token: string;
  /** Epoch milliseconds. */
  readonly expiresAtMs: number;
}

/** Who is signed in as a person in this browser; undefined for nobody, or a wallet. Rejects with StudioError. */
export async function loadPerson(): Promise<Person | undefined> {
  const response = await fetch("/sign-in/session", { signal: AbortSignal.timeout(10_000) }).catch(
    (error: unknown) => {
      throw new StudioError("NETWORK", String(error));
    },
  );
  if (!response.ok) throw new StudioError("NETWORK", `status ${response.status}`);
  const { session } = (await response.json()) as {
    readonly session: (Person & { readonly wallet: string | null }) | null;
  };
  return session !== null && session.wallet === null ? session : undefined;
}

/** A token of the person who is signed in. Rejects with StudioError. */
export function personToken(): Promise<Token> {
  return askToken("");
}

/** A token for a wallet, which signs in by its signature (EIP-4361) if it is not. Rejects with StudioError. */
export async function walletToken(wallet: DemoWallet): Promise<Token> {
  try {
    return await askToken(wallet.address);
  } catch (error) {
    if (!(error instanceof StudioError) || error.reason !== "SESSION_EXPIRED") throw error;
    // A person has signed in on another page meanwhile, whom this one does not put out.
    if ((await loadPerson()) !== undefined) throw error;
  }
  const challenge = await postJson("/sign-in/wallet/challenge", { wallet: wallet.address });
  await postJson("/sign-in/wallet", {
    nonce: String(challenge["nonce"]),
    signature: wallet.signText(String(challenge["message"])),
  });
  return askToken(wallet.address);
}

async function askToken(wallet: string): Promise<Token> {
  const answer = await postJson("/sign-in/token", { wallet });
  return { token: String(answer["token"]), expiresAtMs: Number(answer["expiresAtMs"]) };
}

/** Ends the session, and leads a person to where it ends at the provider too. Rejects with StudioError. */
export async function signOut(): Promise<void> {
  const { next } = await postJson("/sign-in/out", {});
  if (typeof next === "string") location.assign(next);
}
