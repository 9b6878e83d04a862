import { setTimeout as sleep } from "node:timers/promises";
import {
  type EventStreamClient,
  type FollowOptions,
  followEvents,
} from "#common/events-client/follow-events.ts";
import type { SubscribeResponse } from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import type { Recording } from "./validators.ts";

/** A subscriber that follows, keeps its cursor, crashes now and then, and resumes from what it kept. */
export interface EventFollower {
  /** What each of its calls of Subscribe delivered, in their order. */
  readonly streams: readonly Recording[];
  /** The ids of the events that it was handed out since it last began, and before. */
  readonly seen: ReadonlySet<string>;
  /** How often it crashed. */
  readonly crashes: number;
  /** Why it gave up; undefined while it follows. */
  readonly error: unknown;
  /** From now on it crashes no more. */
  calm(): void;
  /** Ends it; resolves when it has ended. */
  stop(): Promise<void>;
}

export interface FollowerOptions extends Pick<FollowOptions, "filter"> {
  readonly client: EventStreamClient;
  readonly random: () => number;
  /** The longest time between two crashes, in milliseconds. */
  readonly crashMsMax: number;
}

/** Follows from the ledger's first event on. */
export function followRestlessly(options: FollowerOptions): EventFollower {
  const { client, filter, random, crashMsMax } = options;
  const streams: Recording[] = [];
  const seen = new Set<string>();
  const stop = new AbortController();
  let isCalm = false;
  let crashes = 0;
  let error: unknown;
  const run = async () => {
    let kept: string | undefined;
    while (!stop.signal.aborted) {
      const crash = new AbortController();
      const timer = setTimeout(() => {
        if (!isCalm) crash.abort();
      }, crashMsMax * random());
      // A crash may come between the handling of a message and the writing of its cursor.
      const keepsWell = random() < 0.7;
      let unkept = 0;
      const following = followEvents(recording(client, streams), {
        start:
          kept === undefined ? { case: "earliest", value: true } : { case: "cursor", value: kept },
        ...(filter === undefined ? {} : { filter }),
        heartbeatMs: 1_000,
        backoffMs: { first: 50, last: 1_000 },
        signal: AbortSignal.any([stop.signal, crash.signal]),
      });
      for await (const followed of following) {
        if (followed.kind === "event") seen.add(followed.event.eventId);
        unkept += 1;
        if (!keepsWell && unkept < 20) continue;
        kept = followed.cursor;
        unkept = 0;
      }
      clearTimeout(timer);
      if (!stop.signal.aborted) crashes += 1;
      await sleep(50);
    }
  };
  const ended = run().catch((caught: unknown) => {
    error = caught;
  });
  return {
    streams,
    seen,
    get crashes() {
      return crashes;
    },
    get error() {
      return error;
    },
    calm() {
      isCalm = true;
    },
    async stop() {
      stop.abort();
      await ended;
    },
  };
}

/** A client that writes down what each call delivers. */
function recording(client: EventStreamClient, streams: Recording[]): EventStreamClient {
  return {
    subscribe(request, options) {
      const messages: SubscribeResponse[] = [];
      const startCursor = request.start?.case === "cursor" ? request.start.value : undefined;
      streams.push({ messages, startCursor });
      return tap(client.subscribe(request, options), messages);
    },
  };
}

async function* tap(
  stream: AsyncIterable<SubscribeResponse>,
  messages: SubscribeResponse[],
): AsyncGenerator<SubscribeResponse> {
  for await (const message of stream) {
    messages.push(message);
    yield message;
  }
}
