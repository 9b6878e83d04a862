import type { Range } from "#common/ledger/reader.ts";
import type { Place } from "./page.ts";

/** Something that has its place in the one order of the ledger. */
interface Timed {
  /** u64 nanoseconds. */
  readonly timestamp: bigint;
}

export interface Scan<Row extends Timed, Item extends Timed> {
  readonly place: Place;
  /** The most items. */
  readonly wanted: number;
  /** The most rows that one read answers. */
  readonly rowsMax: number;
  /** Reads rows in commit order. Fewer than the limit means that the range holds no more. */
  readonly read: (range: Range) => Promise<readonly Row[]>;
  /** Makes items of rows, in commit order. May drop some, and join several. */
  readonly pick: (rows: readonly Row[]) => readonly Item[] | Promise<readonly Item[]>;
}

export interface Scanned<Item> {
  readonly items: readonly Item[];
  /** Where to go on; undefined when there is no more. */
  readonly next: Place | undefined;
}

/**
 * The most reads of one call. A filter that few rows pass then answers a short page with a token, instead of
 * holding the engine for as long as the ledger is large.
 */
export const scanReadsMax = 8;

/** Collects items until enough are there, the range ends, or the call has read its share. */
export async function scan<Row extends Timed, Item extends Timed>(
  options: Scan<Row, Item>,
): Promise<Scanned<Item>> {
  const { wanted, rowsMax } = options;
  const { to } = options.place;
  const items: Item[] = [];
  let { after } = options.place;
  // One more than wanted tells whether there is a next page. If that was not enough, reads grow: most rows do not
  // pass then.
  let limit = Math.min(wanted + 1, rowsMax);
  for (let reads = 0; reads < scanReadsMax && after < to; reads += 1) {
    const rows = await options.read({ from: after + 1n, to, limit });
    items.push(...(await options.pick(rows)));
    if (items.length > wanted) {
      const kept = items.slice(0, wanted);
      return { items: kept, next: { after: lastOf(kept, after), to } };
    }
    if (rows.length < limit) return { items, next: undefined };
    after = lastOf(items, lastOf(rows, after));
    limit = Math.min(limit * 4, rowsMax);
  }
  return { items, next: after < to ? { after, to } : undefined };
}

/** The last item's place, unless that lies before `least`. */
function lastOf(items: readonly Timed[], least: bigint): bigint {
  const last = items.at(-1)?.timestamp ?? least;
  return last > least ? last : least;
}
