import { type ContextKey, createContextKey, type HandlerContext } from "@connectrpc/connect";
import type { ScopedCaller } from "#common/caller.ts";
import { DomainError } from "#common/domain-error.ts";

/** Who calls: what a verified token says. */
export interface Principal extends ScopedCaller {
  /** The token's `sub`. */
  readonly subject: string;
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
