import { DomainError } from "./domain-error.ts";
import { roles } from "./roles.ts";

/** Who calls, as far as the domain cares. */
export interface Caller {
  /** The wallet, EIP-55, to which the caller's credential is bound; undefined for operators and services. */
  readonly wallet: string | undefined;
  /** The merchant to which it is bound; never together with a wallet. */
  readonly merchant?: string | undefined;
}

/** A caller, and what its credential is for. */
export interface ScopedCaller extends Caller {
  /** What the credential may do. One that is bound holds none of the house's, whatever its token names. */
  readonly scopes: ReadonlySet<string>;
}

/** What a credential that is bound to a wallet can hold: all else is the house's, and is not the holder's to use. */
const boundScopes: ReadonlySet<string> = new Set([...roles.shopper.scopes, "reflection"]);

/** True for what a shopper can never hold. */
export function isHouseScope(scope: string): boolean {
  return !boundScopes.has(scope);
}

/**
 * Which scopes a token that names some has: of one that is bound, what a bound credential can hold. One that is not, and
 * may clear, may clear batches: ClearBatch asked for nothing else before it had a scope of its own.
 */
export function scopesHeld(caller: Caller, named: readonly string[]): ReadonlySet<string> {
  if (caller.wallet !== undefined) return new Set(named.filter((scope) => boundScopes.has(scope)));
  return new Set(named.includes("clearing.write") ? [...named, "clearing.batch"] : named);
}

/** Throws SCOPE_MISSING unless the caller has one of the scopes; with `wallet` if its binding keeps one from it. */
export function requireScope(caller: ScopedCaller, scopes: readonly string[]): void {
  for (const scope of scopes) {
    if (caller.scopes.has(scope)) return;
  }
  const scope = scopes.join(" ");
  const { wallet } = caller;
  if (wallet === undefined || scopes.every((each) => boundScopes.has(each))) {
    throw new DomainError("SCOPE_MISSING", `The token lacks the scope ${scopes.join(" or ")}.`, {
      metadata: { scope },
    });
  }
  throw new DomainError(
    "SCOPE_MISSING",
    `The token is bound to the wallet ${wallet} and cannot have the scope ${scopes.join(" or ")}.`,
    { metadata: { scope, wallet } },
  );
}

/** A credential of one wallet speaks for no other. Throws SCOPE_MISSING. */
export function requireOwnWallet(caller: Caller, wallet: string): void {
  if (caller.wallet === undefined || caller.wallet === wallet) return;
  throw new DomainError("SCOPE_MISSING", `The token is bound to the wallet ${caller.wallet}.`, {
    metadata: { wallet: caller.wallet },
  });
}

/** What only the house does is refused to whoever is bound. Throws SCOPE_MISSING. `what`: for people. */
export function requireUnbound({ wallet }: Caller, what: string): void {
  if (wallet === undefined) return;
  throw new DomainError("SCOPE_MISSING", `The token is bound to the wallet ${wallet}: ${what}.`, {
    metadata: { wallet },
  });
}
