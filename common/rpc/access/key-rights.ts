import { isHouseScope } from "#common/caller.ts";

/** What the tokens of a key may be good for: its entry in the JWK Set says it, in members of its own. */
export interface KeyRights {
  /** `sovr_scopes`: no token of the key holds another. Undefined: the entry does not say. */
  readonly scopes: ReadonlySet<string> | undefined;
  /** `sovr_audience`: no token of the key is for another. Undefined: the entry does not say. */
  readonly audience: string | undefined;
}

const unsaid: KeyRights = { scopes: undefined, audience: undefined };

/**
 * The rights of each key of a JWK Set, by `kid`. Throws Error that names the entry if a member is of another type: rights that
 * cannot be read must not be taken for rights that nobody limited.
 */
export function parseKeyRights(jwks: unknown): ReadonlyMap<string, KeyRights> {
  const keys = (jwks as { readonly keys?: unknown }).keys;
  const rights = new Map<string, KeyRights>();
  if (!Array.isArray(keys)) return rights;
  for (const [index, entry] of (keys as readonly Record<string, unknown>[]).entries()) {
    const { kid, sovr_scopes: scopes, sovr_audience: audience } = entry;
    const field = (name: string) => `keys[${index}].${name}`;
    if (scopes !== undefined && !isTextList(scopes)) {
      throw new Error(`${field("sovr_scopes")}: must be a list of texts`);
    }
    if (audience !== undefined && typeof audience !== "string") {
      throw new Error(`${field("sovr_audience")}: must be a text`);
    }
    if (typeof kid === "string") {
      rights.set(kid, { scopes: scopes === undefined ? undefined : new Set(scopes), audience });
    } else if (scopes !== undefined || audience !== undefined) {
      throw new Error(`${field("kid")}: is required beside sovr_scopes and sovr_audience`);
    }
  }
  return rights;
}

/** The rights of the key that a token names; one that names none is of a key that nothing is said of. */
export function rightsOf(
  rights: ReadonlyMap<string, KeyRights>,
  kid: string | undefined,
): KeyRights {
  return (kid === undefined ? undefined : rights.get(kid)) ?? unsaid;
}

/**
 * Which of the scopes a token of the key has. A key of which nothing is said gives nothing of the house's, except where
 * everybody is a developer: whoever gets at an issuer that was meant for shoppers must not get the house with it.
 */
export function scopesOfKey(
  { scopes }: KeyRights,
  isDevelopment: boolean,
  held: ReadonlySet<string>,
): ReadonlySet<string> {
  if (scopes !== undefined) return held.intersection(scopes);
  return isDevelopment ? held : new Set([...held].filter((scope) => !isHouseScope(scope)));
}

function isTextList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
