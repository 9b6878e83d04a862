import { createHmac, scryptSync, timingSafeEqual } from "node:crypto";
import { invalidField } from "#common/domain-error.ts";

/**
 * What a list is: its name, who asks, and every field of the request that must be the same on all pages. In a fixed
 * order and number for each name.
 */
export type List = readonly (string | number | bigint | Uint8Array | undefined)[];

/** Writes and reads the tokens with which lists go on. */
export interface PageTokens {
  /** The token that continues a list at a place, whatever bytes a service says it with. */
  seal(list: List, place: Uint8Array): string;
  /** The place of a token. Throws INVALID_FIELD unless it was given for the same list, by this release of the mesh. */
  open(list: List, token: string): Buffer;
}

/** Grows with every change of what tokens hold, so that those of another release are refused and not misread. */
const version = 2;
const tagBytes = 16;
const headBytes = 1 + tagBytes;

/**
 * The page tokens of one service on one ledger. `scope` names both, `databaseUrl` is what its replicas share.
 *
 * The key is derived from the password in `databaseUrl`, the one secret that every replica has, so that any of them
 * opens what another sealed. It keeps those who do not know that password from making a token, or changing one: what a
 * token holds was written by this service, for this request and caller. It does not keep a token from being used
 * twice, or by somebody else with the same credential; nothing depends on that, because every page checks anew what
 * its caller may see. Without a password in the URL (trust, certificates), whoever reads this can make tokens. With
 * another password, and in another release, lists start again.
 *
 * Tokens go to everyone who lists, so they must be no quick test for guesses of a weak password: hence scrypt, some
 * 50 ms once at the start, and not a plain hash.
 */
export function createPageTokens(scope: string, databaseUrl: string): PageTokens {
  const password = URL.parse(databaseUrl)?.password ?? "";
  const key = scryptSync(password, `sovr/page-token/${version}/${scope}`, 32);

  function tagOf(list: List, place: Uint8Array): Buffer {
    const bound = JSON.stringify(list.map(plain));
    return createHmac("sha256", key)
      .update(`${version} ${bound.length} ${bound}`)
      .update(place)
      .digest()
      .subarray(0, tagBytes);
  }

  return {
    seal: (list, place) =>
      Buffer.concat([Buffer.of(version), tagOf(list, place), place]).toString("base64url"),
    open(list, token) {
      const bytes = Buffer.from(token, "base64url");
      const place = bytes.subarray(headBytes);
      if (
        bytes.length >= headBytes &&
        bytes[0] === version &&
        // Another spelling of the same bytes is not what was given.
        bytes.toString("base64url") === token &&
        timingSafeEqual(bytes.subarray(1, headBytes), tagOf(list, place))
      ) {
        return place;
      }
      throw invalidField(
        "page_token",
        "page_token.match",
        "must be the next_page_token of the same request, from this release",
      );
    },
  };
}

/** A field as JSON takes it; one that is not given differs from one that is empty. */
function plain(field: List[number]): string | number | null {
  if (field === undefined) return null;
  if (typeof field === "bigint") return field.toString();
  return field instanceof Uint8Array ? Buffer.from(field).toString("base64") : field;
}
