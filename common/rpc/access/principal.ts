import { type ContextKey, createContextKey, type HandlerContext } from "@connectrpc/connect";
import { DomainError } from "#common/domain-error.ts";

/** Who calls: what a verified token says. */
export interface Principal {
  /** The token's `sub`. */
  readonly subject: string;
  readonly scopes: ReadonlySet<string>;
  /** The wallet, EIP-55, to which the token is bound; undefined for operators and services. */
  readonly wallet: string | undefined;
  /** When the token ends, in epoch milliseconds. A stream must not outlive it. */
  readonly expiresAtMs: number;
}

/** Where a handler's context holds the caller; the runtime sets it on both mounts. */
export const principalKey: ContextKey<Principal | undefined> = createContextKey<
  Principal | undefined
>(undefined, { description: "principal" });

/** The caller. Throws CREDENTIALS_MISSING where the runtime did not run, which is only in a test. */
export function requirePrincipal(ctx: Pick<HandlerContext, "values">): Principal {
  const principal = ctx.values.get(principalKey);
  if (principal === undefined) {
    throw new DomainError("CREDENTIALS_MISSING", "The call carries no credentials.");
  }
  return principal;
}
