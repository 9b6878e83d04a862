import { DomainError } from "#common/domain-error.ts";
import { comparePositions, endOf, type Position } from "#common/wire/cursor.ts";
import type { EventFilter } from "../live/filter.ts";
import type { Leases } from "../live/leases.ts";
import type { StreamEvent } from "../read/event.ts";
import type { EventReader } from "../read/reader.ts";

/** What is left of a list: fixed by its first page, so that what is committed meanwhile never shifts it. */
export interface ListPlace {
  /** Events after this place come next. */
  readonly after: Position;
  /** The last instant of the list, inclusive, in nanoseconds. */
  readonly through: bigint;
}

export interface EventPage {
  /** In order. A page may hold fewer than were asked for, or none, and still not be the last. */
  readonly events: readonly StreamEvent[];
  /** The place of the next page; undefined when this is the last. */
  readonly next: ListPlace | undefined;
  /** Where a stream goes on after this page. */
  readonly position: Position;
}

export interface ListEventsOptions {
  readonly leases: Leases;
  newReader(start: Position): EventReader;
  /** The most rows of one read. */
  readonly rowsMax: number;
  readonly place: ListPlace;
  readonly filter: EventFilter;
  readonly eventsMax: number;
  readonly signal: AbortSignal;
}

/** The most reads for one page: a filter that matches nothing must not scan the whole ledger in one call. */
const readsMax = 16;

/** Lists a page of past events. Throws CANCELLED, LEDGER_UNAVAILABLE, RECORDS_UNAVAILABLE. */
export async function listEvents(options: ListEventsOptions): Promise<EventPage> {
  const { place, filter, eventsMax } = options;
  const end = endOf(place.through);
  const events: StreamEvent[] = [];
  if (comparePositions(place.after, end) >= 0) {
    return { events, next: undefined, position: place.after };
  }
  const release = await lease(options.leases, options.signal);
  try {
    const reader = options.newReader(place.after);
    let at = place.after;
    for (let reads = 0; reads < readsMax; reads += 1) {
      const batch = await reader.read(place.through, options.rowsMax);
      for (const event of batch.events) {
        if (events.length === eventsMax)
          return { events, next: { ...place, after: at }, position: at };
        at = event.position;
        if (filter.matches(event)) events.push(event);
      }
      at = endOf(batch.through);
      if (batch.through >= place.through) return { events, next: undefined, position: at };
    }
    return { events, next: { ...place, after: at }, position: at };
  } finally {
    release();
  }
}

/** Waits for a lease; call the result to give it back. */
function lease(leases: Leases, signal: AbortSignal): Promise<() => void> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      requested.release();
      reject(new DomainError("CANCELLED", "The caller gave up."));
    };
    // Asked for in this order: it may be granted before `request` returns.
    const granted = () => {
      signal.removeEventListener("abort", abort);
      resolve(() => requested.release());
    };
    signal.addEventListener("abort", abort, { once: true });
    // It is never idle, so it is never revoked.
    const requested = leases.request({ granted, revoked: abort });
    if (signal.aborted) abort();
  });
}
