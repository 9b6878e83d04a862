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

/** What a bound credential can hold: all else is the house's, and is not the holder's to use. */
const scopesOf = {
  wallet: new Set<string>([...roles.shopper.scopes, "reflection"]),
  merchant: new Set<string>([...roles.merchant.scopes, "reflection"]),
} as const;

/** To what a credential is bound. */
interface Binding {
  /** As metadata of a refusal. */
  readonly claim: { readonly wallet: string } | { readonly merchant: string };
  readonly says: string;
  readonly scopes: ReadonlySet<string>;
}

function bindingOf({ wallet, merchant }: Caller): Binding | undefined {
  if (merchant !== undefined) {
    return { claim: { merchant }, says: `the merchant ${merchant}`, scopes: scopesOf.merchant };
  }
  if (wallet === undefined) return undefined;
  return { claim: { wallet }, says: `the wallet ${wallet}`, scopes: scopesOf.wallet };
}

/** True for what a shopper can never hold. */
export function isHouseScope(scope: string): boolean {
  return !scopesOf.wallet.has(scope);
}

/**
 * Which scopes a token that names some has: of one that is bound, what a bound credential can hold. One that is not, and
 * may clear, may clear batches: ClearBatch asked for nothing else before it had a scope of its own.
 */
export function scopesHeld(caller: Caller, named: readonly string[]): ReadonlySet<string> {
  const binding = bindingOf(caller);
  if (binding !== undefined) return new Set(named.filter((scope) => binding.scopes.has(scope)));
  return new Set(named.includes("clearing.write") ? [...named, "clearing.batch"] : named);
}

/**
 * Throws SCOPE_MISSING unless the caller has one of the scopes; with `wallet` or `merchant` if its binding keeps one from
 * it.
 */
export function requireScope(caller: ScopedCaller, scopes: readonly string[]): void {
  for (const scope of scopes) {
    if (caller.scopes.has(scope)) return;
  }
  const scope = scopes.join(" ");
  const binding = bindingOf(caller);
  if (binding === undefined || scopes.every((each) => binding.scopes.has(each))) {
    throw new DomainError("SCOPE_MISSING", `The token lacks the scope ${scopes.join(" or ")}.`, {
      metadata: { scope },
    });
  }
  throw new DomainError(
    "SCOPE_MISSING",
    `The token is bound to ${binding.says} and cannot have the scope ${scopes.join(" or ")}.`,
    { metadata: { scope, ...binding.claim } },
  );
}

/** A credential of one wallet speaks for no other, and one of a merchant for none. Throws SCOPE_MISSING. */
export function requireOwnWallet(caller: Caller, wallet: string): void {
  if (caller.merchant === undefined && caller.wallet === wallet) return;
  requireUnbound(caller, "it speaks for no other wallet");
}

/** What only the house does is refused to whoever is bound. Throws SCOPE_MISSING. `what`: for people. */
export function requireUnbound(caller: Caller, what: string): void {
  const binding = bindingOf(caller);
  if (binding === undefined) return;
  throw new DomainError("SCOPE_MISSING", `The token is bound to ${binding.says}: ${what}.`, {
    metadata: binding.claim,
  });
}
