import { createHash } from "node:crypto";
import { invalidField } from "#common/domain-error.ts";

/** Every field of a list's request that must be the same on all pages, and who asks. */
export type Bound = readonly (string | number | undefined)[];

const tagBytes = 12;

/** Writes the token that continues a list after a position. */
export function formatPageToken(bound: Bound, position: string): string {
  return Buffer.concat([tagOf(bound, position), Buffer.from(position, "utf8")]).toString(
    "base64url",
  );
}

/** The position of a token; undefined for "". Throws INVALID_FIELD if it was given for another request or caller. */
export function parsePageToken(bound: Bound, token: string): string | undefined {
  if (token === "") return undefined;
  const bytes = Buffer.from(token, "base64url");
  const position = bytes.subarray(tagBytes).toString("utf8");
  if (
    bytes.toString("base64url") === token &&
    bytes.subarray(0, tagBytes).equals(tagOf(bound, position))
  ) {
    return position;
  }
  throw invalidField(
    "page_token",
    "page_token.match",
    "must be the next_page_token of the same request",
  );
}

/** Guards against slips, not against forgers: a token grants nothing, every page checks what the caller may see. */
function tagOf(bound: Bound, position: string): Buffer {
  return createHash("sha256")
    .update("sovr/checkout/page/v1", "ascii")
    .update(JSON.stringify([...bound.map((value) => value ?? null), position]))
    .digest()
    .subarray(0, tagBytes);
}
