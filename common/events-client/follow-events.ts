import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import { cutCallError } from "#common/rpc/cut-call.ts";
import type { Event, EventFilterSchema } from "#gen/sovr/eventstream/v1/event_pb.ts";
import type {
  EventStreamService,
  SubscribeRequestSchema,
  SubscribeResponse,
} from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";

/** A client of EventStreamService over any transport, in Node or a browser. */
export type EventStreamClient = Pick<Client<typeof EventStreamService>, "subscribe">;

type SubscribeStart = NonNullable<MessageInitShape<typeof SubscribeRequestSchema>["start"]>;

export interface FollowOptions {
  /** Where to start; none means from now. Give the cursor that was persisted last to lose nothing. */
  readonly start?: SubscribeStart;
  readonly filter?: MessageInitShape<typeof EventFilterSchema>;
  /** How often a bookmark comes at least, in milliseconds: 1,000 to 60,000, default 15,000. */
  readonly heartbeatMs?: number;
  /** Ends the iteration. */
  readonly signal?: AbortSignal;
  /** How often in a row connecting may fail before the error is thrown. Default 60, some nine minutes. */
  readonly attemptsMax?: number;
  /** Pauses between attempts, in milliseconds: doubling from the first to the last, half of each by chance. */
  readonly backoffMs?: { readonly first: number; readonly last: number };
  /** Called before each pause, with what ended the stream. */
  readonly onInterrupted?: (error: ConnectError, pauseMs: number) => void;
  /** Called when a stream has begun: the first, and each that takes one up again. */
  readonly onConnected?: () => void;
  /** Waits between attempts; may end earlier, as when a device is online again. By default a timer. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** What `followEvents` hands out. Persist `cursor` after the message was dealt with, not before. */
export type Followed =
  | { readonly kind: "event"; readonly cursor: string; readonly event: Event }
  /** Everything that matches up to `cursor` was handed out. `head` is where the service stands, by the ledger's clock. */
  | {
      readonly kind: "bookmark";
      readonly cursor: string;
      readonly head: string;
      readonly headTime: Timestamp | undefined;
    };

/**
 * The stream skipped something: a message does not follow the one before. It is never passed over in silence; what
 * was handed out up to `cursor` is complete, so follow again from there, and tell somebody.
 */
export class StreamGapError extends Error {
  override readonly name = "StreamGapError";
  /** The last cursor that was handed out or confirmed. */
  readonly cursor: string;

  constructor(cursor: string, prevCursor: string) {
    super(`the stream has a gap: a message follows ${prevCursor}, the last one was ${cursor}`);
    this.cursor = cursor;
  }
}

const heartbeatMsDefault = 15_000;
const attemptsMaxDefault = 60;
const backoffMsDefault = { first: 100, last: 10_000 };
/** A stream that is silent for this many heartbeats is dead, whatever the connection says. */
const heartbeatsMissedMax = 3;
/** Event ids kept to recognise repetitions. */
const recentMax = 10_000;

/**
 * Follows the events of a mesh: resumes by itself, with jitter, where the stream broke off; checks that every message
 * follows the one before; hands out each event once. Ends when the signal fires or the loop is left. Throws
 * StreamGapError, and a ConnectError when the service refuses for good or stays away for too long.
 */
export async function* followEvents(
  client: EventStreamClient,
  options: FollowOptions = {},
): AsyncGenerator<Followed, void, undefined> {
  const { attemptsMax = attemptsMaxDefault, backoffMs = backoffMsDefault, wait = pause } = options;
  const signal = options.signal ?? new AbortController().signal;
  const recent = new RecentIds();
  let start = options.start;
  let failures = 0;
  for (;;) {
    if (signal.aborted) return;
    const attempt = new Attempt(client, options, start);
    try {
      for await (const message of attempt.messages()) {
        failures = 0;
        start = { case: "cursor", value: message.cursor };
        if (message.message.case === "opened") options.onConnected?.();
        const followed = toFollowed(message);
        if (followed === undefined) continue;
        if (followed.kind === "event" && !recent.add(followed.event.eventId)) continue;
        yield followed;
      }
      throw new ConnectError("the stream ended without a reason", Code.Unavailable);
    } catch (caught) {
      if (signal.aborted) return;
      if (caught instanceof StreamGapError) throw caught;
      const error = cutCallError(caught);
      failures += 1;
      if (isFinal(error, attempt.isClosing) || failures >= attemptsMax) throw error;
      const longest = Math.min(backoffMs.last, backoffMs.first * 2 ** (failures - 1));
      const pauseMs = longest * (0.5 + Math.random() / 2);
      options.onInterrupted?.(error, pauseMs);
      await wait(pauseMs, signal);
    } finally {
      attempt.end();
    }
  }
}

/** One call of Subscribe, watched. */
class Attempt {
  readonly #client: EventStreamClient;
  readonly #options: FollowOptions;
  readonly #start: SubscribeStart | undefined;
  readonly #controller = new AbortController();
  #silence: ReturnType<typeof setTimeout> | undefined;
  /** True once the service has announced the end of the stream. */
  isClosing = false;

  constructor(
    client: EventStreamClient,
    options: FollowOptions,
    start: SubscribeStart | undefined,
  ) {
    this.#client = client;
    this.#options = options;
    this.#start = start;
    options.signal?.addEventListener("abort", this.#abort, { once: true });
  }

  /** The messages of the call, each checked against the one before. */
  async *messages(): AsyncGenerator<SubscribeResponse, void, undefined> {
    const { heartbeatMs = heartbeatMsDefault, filter } = this.#options;
    const request: MessageInitShape<typeof SubscribeRequestSchema> = {
      ...(this.#start === undefined ? {} : { start: this.#start }),
      ...(filter === undefined ? {} : { filter }),
      heartbeatInterval: {
        seconds: BigInt(Math.floor(heartbeatMs / 1_000)),
        nanos: (heartbeatMs % 1_000) * 1_000_000,
      },
    };
    let last = this.#start?.case === "cursor" ? this.#start.value : undefined;
    this.#listen(heartbeatMs);
    const stream = this.#client.subscribe(request, { signal: this.#controller.signal });
    for await (const message of stream) {
      clearTimeout(this.#silence);
      if (last !== undefined && message.prevCursor !== last) {
        throw new StreamGapError(last, message.prevCursor);
      }
      last = message.cursor;
      if (message.message.case === "closing") this.isClosing = true;
      yield message;
      // Time that the caller takes to deal with a message is not silence of the service.
      this.#listen(heartbeatMs);
    }
  }

  end(): void {
    clearTimeout(this.#silence);
    this.#options.signal?.removeEventListener("abort", this.#abort);
    this.#controller.abort();
  }

  #listen(heartbeatMs: number): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => {
      this.#controller.abort(new ConnectError("the stream went silent", Code.Unavailable));
    }, heartbeatsMissedMax * heartbeatMs);
  }

  readonly #abort = (): void => {
    this.#controller.abort();
  };
}

/** The last few ids: an event that is told again lies close to where the stream broke off. */
class RecentIds {
  readonly #ids = new Set<string>();

  /** True if the id is new. */
  add(id: string): boolean {
    if (this.#ids.has(id)) return false;
    this.#ids.add(id);
    if (this.#ids.size > recentMax) {
      for (const oldest of this.#ids) {
        this.#ids.delete(oldest);
        break;
      }
    }
    return true;
  }
}

function toFollowed({ message, cursor }: SubscribeResponse): Followed | undefined {
  switch (message.case) {
    case "event":
      return { kind: "event", cursor, event: message.value };
    case "bookmark":
      return {
        kind: "bookmark",
        cursor,
        head: message.value.head,
        headTime: message.value.headTime,
      };
    default:
      return undefined;
  }
}

const finalCodes: ReadonlySet<Code> = new Set([
  Code.InvalidArgument,
  Code.NotFound,
  Code.PermissionDenied,
  Code.FailedPrecondition,
  Code.OutOfRange,
  Code.Unimplemented,
  Code.Unauthenticated,
]);

/** Whether trying again is no use. What follows an announced end is none: the next call may carry a new token. */
function isFinal(error: ConnectError, wasClosing: boolean): boolean {
  return !wasClosing && finalCodes.has(error.code);
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end, { once: true });
  });
}
