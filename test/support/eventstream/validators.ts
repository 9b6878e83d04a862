import { equals } from "@bufbuild/protobuf";
import { comparePositions, type Position, parseCursor } from "#common/wire/cursor.ts";
import { type Event, EventSchema, EventType } from "#gen/sovr/eventstream/v1/event_pb.ts";
import type { SubscribeResponse } from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import type { TrueEvent } from "./truth.ts";

/** What one call of Subscribe delivered, to its end, whatever ended it. */
export interface Recording {
  readonly messages: readonly SubscribeResponse[];
  /** The cursor that the caller started from; undefined if he named none. */
  readonly startCursor?: string | undefined;
}

// One validator per promise of the stream. Each throws an Error that says what was broken and where.

/** `opened` comes first and once, and names the start. */
export function validateOpened({ messages, startCursor }: Recording): void {
  for (const [index, { message }] of messages.entries()) {
    if ((message.case === "opened") !== (index === 0)) fail(index, "`opened` is out of place");
  }
  const first = messages[0];
  if (first?.message.case !== "opened") return;
  if (first.message.value.startCursor !== first.cursor) fail(0, "`opened` is not at its start");
  if (startCursor !== undefined && first.cursor !== startCursor) {
    fail(0, "the stream does not start at the caller's cursor");
  }
}

/** Every message carries the cursor of the one before. */
export function validateChained({ messages }: Recording): void {
  let last = messages[0]?.cursor;
  for (const [index, { cursor, prevCursor }] of messages.entries()) {
    if (prevCursor !== last) fail(index, `prev_cursor ${prevCursor} follows ${last}`);
    last = cursor;
  }
}

/** Cursors never go back, events go forward, and an event's cursor is its own place. */
export function validateOrdered({ messages }: Recording, clusterId: bigint): void {
  let last: Position | undefined;
  for (const [index, { message, cursor }] of messages.entries()) {
    const position = parseCursor(cursor, clusterId, "cursor");
    const step = last === undefined ? 1 : comparePositions(position, last);
    if (step < 0) fail(index, "the cursor went back");
    if (message.case === "event") {
      if (step === 0) fail(index, "two events have one place");
      if (message.value.eventId !== eventIdAt(clusterId, position)) {
        fail(index, `event ${message.value.eventId} is not at its cursor`);
      }
      if (nanoseconds(message.value) !== position.timestamp) fail(index, "another commit_time");
    }
    last = position;
  }
}

/** No event twice in one stream. */
export function validateUnique({ messages }: Recording): void {
  const seen = new Set<string>();
  for (const { eventId } of eventsOf(messages)) {
    if (seen.has(eventId)) throw new Error(`event ${eventId} came twice`);
    seen.add(eventId);
  }
}

/** An event is a whole chain: as many transfers as the ledger's chain has, in the order of their legs. */
export function validateAtomic(recording: Recording, truth: readonly TrueEvent[]): void {
  const byId = new Map(truth.map((event) => [event.eventId, event]));
  for (const event of eventsOf(recording.messages)) {
    const expected = byId.get(event.eventId);
    if (expected === undefined) throw new Error(`event ${event.eventId} never happened`);
    const told = event.transfers.map(({ transferId }) => transferId).join();
    const held = expected.transfers.map(({ id }) => id.toString()).join();
    if (told !== held) throw new Error(`event ${event.eventId} has transfers ${told}, not ${held}`);
    if (EventType[expected.type] !== event.type) {
      throw new Error(`event ${event.eventId} is no ${expected.type}`);
    }
  }
}

/**
 * A bookmark's cursor is a promise: all that matches up to it, since the start, was delivered before it. `matching`
 * is in order.
 */
export function validateBookmarks(
  { messages }: Recording,
  clusterId: bigint,
  matching: readonly TrueEvent[],
): void {
  const [first] = messages;
  if (first === undefined) return;
  const start = placeOf(first.cursor, clusterId);
  const due = matching.filter(({ place }) => isAfter(place, start));
  const delivered = new Set<string>();
  let next = 0;
  for (const [index, { message, cursor }] of messages.entries()) {
    if (message.case === "event") delivered.add(message.value.eventId);
    const at = placeOf(cursor, clusterId);
    for (let event = due[next]; event !== undefined && !isAfter(event.place, at); ) {
      if (!delivered.has(event.eventId)) {
        fail(index, `${message.case} passes ${event.eventId}, which was not delivered`);
      }
      next += 1;
      event = due[next];
    }
  }
}

/** An event is the same whenever and to whomever it is told. */
export function validateFinal(recordings: readonly Recording[]): void {
  const told = new Map<string, Event>();
  for (const { messages } of recordings) {
    for (const event of eventsOf(messages)) {
      const before = told.get(event.eventId);
      if (before !== undefined && !equals(EventSchema, before, event)) {
        throw new Error(`event ${event.eventId} was told in two ways`);
      }
      told.set(event.eventId, event);
    }
  }
}

/** What a subscriber saw over all his streams is, without repetitions and in order, what happened. */
export function validateComplete(
  recordings: readonly Recording[],
  matching: readonly TrueEvent[],
): void {
  const seen: string[] = [];
  const known = new Set<string>();
  for (const { messages } of recordings) {
    for (const { eventId } of eventsOf(messages)) {
      if (!known.has(eventId)) seen.push(eventId);
      known.add(eventId);
    }
  }
  const expected = matching.map(({ eventId }) => eventId);
  for (const [index, eventId] of expected.entries()) {
    if (seen[index] !== eventId) {
      throw new Error(`event ${index} of ${expected.length} is ${seen[index]}, not ${eventId}`);
    }
  }
  if (seen.length > expected.length) {
    throw new Error(`${seen.length - expected.length} events too many: ${seen[expected.length]}`);
  }
}

/** All of the above over one subscriber's streams. `matching`: the true events after his start that he asked for. */
export function validateStreams(
  recordings: readonly Recording[],
  options: {
    readonly clusterId: bigint;
    readonly truth: readonly TrueEvent[];
    readonly matching: readonly TrueEvent[];
  },
): void {
  const { clusterId, truth, matching } = options;
  for (const recording of recordings) {
    validateOpened(recording);
    validateChained(recording);
    validateOrdered(recording, clusterId);
    validateUnique(recording);
    validateAtomic(recording, truth);
    validateBookmarks(recording, clusterId, matching);
  }
  validateFinal(recordings);
  validateComplete(recordings, matching);
}

/** The events among messages. */
export function eventsOf(messages: readonly SubscribeResponse[]): Event[] {
  return messages.flatMap(({ message }) => (message.case === "event" ? [message.value] : []));
}

/** The place of a cursor, comparable with a true event's. */
export function placeOf(cursor: string, clusterId: bigint): TrueEvent["place"] {
  const { timestamp, kind, pendingTimestamp } = parseCursor(cursor, clusterId, "cursor");
  return [timestamp, kind === "COMMIT" ? 0 : 1, pendingTimestamp];
}

export function isAfter(a: TrueEvent["place"], b: TrueEvent["place"]): boolean {
  if (a[0] !== b[0]) return a[0] > b[0];
  if (a[1] !== b[1]) return a[1] > b[1];
  return a[2] > b[2];
}

function eventIdAt(clusterId: bigint, position: Position): string {
  const { timestamp, kind, pendingTimestamp } = position;
  return kind === "COMMIT"
    ? `${clusterId}-${timestamp}`
    : `${clusterId}-${timestamp}-EXPIRY-${pendingTimestamp}`;
}

function nanoseconds({ commitTime }: Event): bigint {
  if (commitTime === undefined) return -1n;
  return commitTime.seconds * 1_000_000_000n + BigInt(commitTime.nanos);
}

function fail(index: number, what: string): never {
  throw new Error(`message ${index}: ${what}`);
}
