import { createHash } from "node:crypto";
import { invalidField } from "#common/domain-error.ts";
import { formatCursor, parseCursor } from "#common/wire/cursor.ts";
import type { ListPlace } from "./list.ts";

const tagBytes = 12;
const instantBytes = 8;

/** Writes the token that continues a list at a place. `request`: what must be the same on every page. */
export function formatPageToken(clusterId: bigint, request: Uint8Array, place: ListPlace): string {
  const cursor = Buffer.from(formatCursor(clusterId, place.after), "base64url");
  const instant = Buffer.alloc(instantBytes);
  instant.writeBigUInt64BE(place.through);
  const body = Buffer.concat([instant, cursor]);
  return Buffer.concat([tagOf(clusterId, body, request), body]).toString("base64url");
}

/** Reads a token. Throws INVALID_FIELD if it is garbled or was given for another request, caller or cluster. */
export function parsePageToken(clusterId: bigint, request: Uint8Array, text: string): ListPlace {
  const bytes = Buffer.from(text, "base64url");
  const body = bytes.subarray(tagBytes);
  if (
    body.length <= instantBytes ||
    bytes.toString("base64url") !== text ||
    !tagOf(clusterId, body, request).equals(bytes.subarray(0, tagBytes))
  ) {
    throw invalidField(
      "page_token",
      "page_token.match",
      "must be the next_page_token of the same request",
    );
  }
  const cursor = body.subarray(instantBytes).toString("base64url");
  return {
    through: body.readBigUInt64BE(0),
    after: parseCursor(cursor, clusterId, "page_token"),
  };
}

/** Guards against slips, not against forgers: a token grants nothing, every page checks what the caller may see. */
function tagOf(clusterId: bigint, body: Uint8Array, request: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return createHash("sha256")
    .update(`sovr/events-page/v1 ${clusterId} `, "ascii")
    .update(length)
    .update(body)
    .update(request)
    .digest()
    .subarray(0, tagBytes);
}
