import { invalidField } from "#common/domain-error.ts";
import type { LedgerReader } from "#common/ledger/reader.ts";
import type { Viewer } from "#common/ledger/visibility.ts";
import type { List, PageTokens } from "#common/wire/page-token.ts";

/** Which part of a list a call wants. */
export interface PageRequest {
  /** 1 to 1000. */
  readonly pageSize: number;
  /** The token of the page before's end, or "". */
  readonly pageToken: string;
}

/** A part of a list. */
export interface Page<Item> {
  readonly items: readonly Item[];
  /** "" when this is the last. */
  readonly nextPageToken: string;
}

/** Where a list goes on, and where it ends: fixed by its first page, so that writers never shift it. */
export interface Place {
  /** The last nanosecond that is done. */
  readonly after: bigint;
  /** The last nanosecond of the list, inclusive. */
  readonly to: bigint;
}

/** A span of time as requests name it, nanoseconds. */
export interface Span {
  /** Inclusive; undefined means the beginning. */
  readonly from?: bigint | undefined;
  /** Exclusive; undefined means now. */
  readonly to?: bigint | undefined;
}

/** Whose list it is: the part of a LedgerView that pages need. */
export interface PageView {
  readonly pageTokens: PageTokens;
  readonly viewer: Viewer;
  readonly reader: Pick<LedgerReader, "clusterTime">;
}

const placeBytes = 8 + 8;

/** Writes the token that continues a list at a place. */
export function formatPageToken(view: PageView, list: List, place: Place): string {
  const bytes = Buffer.alloc(placeBytes);
  bytes.writeBigUInt64BE(place.after, 0);
  bytes.writeBigUInt64BE(place.to, 8);
  return view.pageTokens.seal(boundOf(view, list), bytes);
}

/** Reads a token. Throws INVALID_FIELD if it is garbled or was given for another request, caller or cluster. */
function parsePageToken(view: PageView, list: List, text: string): Place {
  const bytes = view.pageTokens.open(boundOf(view, list), text);
  return { after: bytes.readBigUInt64BE(0), to: bytes.readBigUInt64BE(8) };
}

/** A list belongs to who asks. */
function boundOf({ viewer }: PageView, list: List): List {
  return [viewer.key, ...list];
}

/**
 * Where a call starts and where its list ends. A `to` in the future ends the list now, because what is still to
 * come cannot be listed. Throws INVALID_FIELD.
 */
export async function placeOf(
  view: PageView,
  list: List,
  page: PageRequest,
  span: Span = {},
): Promise<Place> {
  if (page.pageToken !== "") return parsePageToken(view, list, page.pageToken);
  const now = await view.reader.clusterTime();
  const from = span.from ?? 1n;
  if (from > now) throw invalidField("from_time", "time.future", "must not lie in the future");
  if (span.to !== undefined && span.to < from) {
    throw invalidField("to_time", "time.order", "must not lie before from_time");
  }
  const last = span.to === undefined || span.to > now ? now : span.to - 1n;
  // Nothing happened before 1970; what is asked about earlier times is asked about an empty ledger.
  return { after: from < 1n ? 0n : from - 1n, to: last < 0n ? 0n : last };
}
