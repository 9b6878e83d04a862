import { type DescMethod, getOption, hasOption } from "@bufbuild/protobuf";
import { requireScope, requireUnbound, type ScopedCaller } from "#common/caller.ts";
import { access, type Scope, ScopeSchema } from "#gen/sovr/common/v1/access_pb.ts";

/** The form of a scope in a token: SCOPE_LEDGER_READ is "ledger.read". */
export function scopeName(scope: Scope): string {
  const name = ScopeSchema.value[scope]?.name;
  if (name === undefined || scope === 0) throw new Error(`no scope has the number ${scope}`);
  return name.slice("SCOPE_".length).toLowerCase().replaceAll("_", ".");
}

/** What a method asks of its callers. */
export interface AccessRule {
  /** A caller needs one of these. */
  readonly scopes: readonly string[];
  /** Whether a caller whose credential is bound is refused. */
  readonly unboundOnly: boolean;
}

/** The rule of a method. Throws if it names no scope: such a service must not start. */
export function accessOf(method: DescMethod): AccessRule {
  const unboundOnly = hasOption(method, access) && getOption(method, access).unboundOnly;
  return { scopes: scopesOf(method), unboundOnly };
}

/** Throws SCOPE_MISSING unless the rule admits the caller. */
export function requireAccess(caller: ScopedCaller, { scopes, unboundOnly }: AccessRule): void {
  requireScope(caller, scopes);
  if (unboundOnly) requireUnbound(caller, "what this tells is everybody's");
}

/** Every scope that there is. */
export const allScopes: readonly string[] = ScopeSchema.values
  .filter(({ number }) => number !== 0)
  .map(({ number }) => scopeName(number as Scope));

/** The scopes of which a caller of the method needs one. Throws if the method names none: such a service must not start. */
export function scopesOf(method: DescMethod): readonly string[] {
  const scopes = hasOption(method, access) ? getOption(method, access).anyOf.map(scopeName) : [];
  if (scopes.length === 0) {
    throw new Error(
      `${method.parent.typeName}.${method.name} has no (sovr.common.v1.access) option: every RPC names its scope`,
    );
  }
  return scopes;
}
