import { fromJson, type JsonValue, toJson } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type EventStreamClient,
  type Followed,
  followEvents,
  StreamGapError,
} from "#common/events-client/follow-events.ts";
import { type Event, EventSchema } from "#gen/sovr/eventstream/v1/event_pb.ts";
import { backoffMs, type Connection, followStream, pause } from "../mesh/follow-stream.ts";
import { explain, type Problem } from "../mesh/problem.ts";
import { createStore, type Store } from "../store.ts";

/** The viewer's events, newest first, and how sure one can be of them. */
export interface FeedState {
  readonly connection: Connection;
  /** Why the last stream ended, while there is no other. */
  readonly problem: Problem | undefined;
  /** At most `eventsMax`, newest first. */
  readonly events: readonly Event[];
  /** Where the stream stands: the next one begins after it. */
  readonly cursor: string | undefined;
  /** Everything up to this instant of the ledger's clock has been told. Epoch milliseconds. */
  readonly completeToMs: number | undefined;
  /** How often the stream was taken up again. */
  readonly resumes: number;
  /** How often a message did not follow the one before: something was lost on the way, and asked for again. */
  readonly gaps: number;
}

export interface Feed {
  readonly state: Store<FeedState>;
  close(): void;
}

export interface FeedOptions {
  readonly client: EventStreamClient;
  readonly storage: Pick<Storage, "getItem" | "setItem">;
  /** Feeds of other wallets are kept apart. EIP-55; undefined for a person. */
  readonly viewer: string | undefined;
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Epoch milliseconds. */
  readonly nowMs?: () => number;
}

const eventsMax = 200;
/** What is kept over a reload. */
const storedMax = 50;
const heartbeatMs = 5_000;
/** How far back a feed begins that has no cursor. */
const historyMs = 24 * 3_600_000;

/**
 * Follows the viewer's events. The cursor outlives reloads and restarts of EventStream, so that nothing is told twice or
 * not at all; a cursor of another ledger, as after ./mesh up --fresh, is thrown away.
 */
export function openFeed(options: FeedOptions): Feed {
  const { client, wait = pause, nowMs = Date.now } = options;
  const closed = new AbortController();
  const state = createStore(loadFeed(options));

  function onConnection(connection: Connection, problem: Problem | undefined): void {
    const { resumes, connection: before } = state.get();
    state.set({
      ...state.get(),
      ...(problem !== undefined && isForeign(problem) ? emptyFeed : {}),
      connection,
      problem: connection === "live" ? undefined : (problem ?? state.get().problem),
      resumes: resumes + (connection === "live" && before === "reconnecting" ? 1 : 0),
    });
  }

  async function* open(signal: AbortSignal): AsyncGenerator<Followed> {
    const { cursor } = state.get();
    try {
      yield* followEvents(client, {
        start:
          cursor === undefined
            ? { case: "sinceTime", value: timestampFromMs(nowMs() - historyMs) }
            : { case: "cursor", value: cursor },
        heartbeatMs,
        backoffMs,
        attemptsMax: Number.POSITIVE_INFINITY,
        wait,
        signal,
        onConnected: () => onConnection("live", undefined),
        onInterrupted: (error) => onConnection("reconnecting", explain(error)),
      });
    } catch (error) {
      // What is missing is asked for again, from the cursor before it.
      if (error instanceof StreamGapError)
        state.set({ ...state.get(), gaps: state.get().gaps + 1 });
      throw error;
    }
  }

  void followStream<Followed>(
    {
      open,
      onMessage(followed) {
        state.set(nextState(state.get(), followed));
        keepFeed(options, state.get());
      },
      onConnection,
      wait,
    },
    closed.signal,
  );
  return { state, close: () => closed.abort() };
}

const emptyFeed = {
  events: [],
  cursor: undefined,
  completeToMs: undefined,
} as const;

/** True for a cursor that this ledger never gave. */
function isForeign({ reason }: Problem): boolean {
  return ["CURSOR_WRONG_CLUSTER", "CURSOR_IN_FUTURE", "CURSOR_INVALID"].includes(reason);
}

/** The feed after one more event or bookmark, which follows the one before. */
function nextState(state: FeedState, followed: Followed): FeedState {
  const { cursor } = followed;
  if (followed.kind === "bookmark") {
    return { ...state, cursor, completeToMs: later(state, followed.headTime) };
  }
  const { event } = followed;
  const events = [event, ...state.events].slice(0, eventsMax);
  return { ...state, events, cursor, completeToMs: later(state, event.commitTime) };
}

/** Events come in order: whatever was before one, or before a bookmark's head, has been told. */
function later({ completeToMs }: FeedState, time: Timestamp | undefined): number | undefined {
  return time === undefined ? completeToMs : Math.max(completeToMs ?? 0, timestampMs(time));
}

const storageKey = (viewer: string | undefined) => `sovr.studio.feed.${viewer ?? "person"}`;

function loadFeed({ storage, viewer }: FeedOptions): FeedState {
  const start = { connection: "connecting", problem: undefined, resumes: 0, gaps: 0 } as const;
  try {
    const stored = JSON.parse(storage.getItem(storageKey(viewer)) ?? "") as {
      readonly cursor: string;
      readonly events: readonly JsonValue[];
    };
    const events = stored.events.map((event) => fromJson(EventSchema, event));
    return { ...start, ...emptyFeed, events, cursor: stored.cursor };
  } catch {
    return { ...start, ...emptyFeed }; // nothing is stored, or by an older app
  }
}

function keepFeed({ storage, viewer }: FeedOptions, { cursor, events }: FeedState): void {
  const stored = {
    cursor,
    events: events.slice(0, storedMax).map((event) => toJson(EventSchema, event)),
  };
  try {
    storage.setItem(storageKey(viewer), JSON.stringify(stored));
  } catch {
    // The storage is full or forbidden: then a reload begins a day back, which is only slower.
  }
}
