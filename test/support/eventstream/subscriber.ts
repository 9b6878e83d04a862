import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import type { EventStreamClient } from "#common/events-client/follow-events.ts";
import type { Event } from "#gen/sovr/eventstream/v1/event_pb.ts";

/** Everything that a subscriber was told since the ledger began. */
export interface Subscriber {
  /** In the order of their arrival. */
  readonly events: readonly Event[];
  /** What is wrong with that order. */
  complaints(): string[];
  stop(): Promise<void>;
}

/** Subscribes from the first event on; resolves when the stream is open. */
export async function subscribe(client: EventStreamClient): Promise<Subscriber> {
  const events: Event[] = [];
  const gaps: string[] = [];
  const stop = new AbortController();
  const opened = Promise.withResolvers<void>();
  const following = untilStopped(async () => {
    const start = { case: "earliest" as const, value: true };
    let last: string | undefined;
    for await (const told of client.subscribe({ start }, { signal: stop.signal })) {
      const { message, cursor, prevCursor } = told;
      if (message.case === "opened") opened.resolve();
      if (message.case === "event") {
        events.push(message.value);
        if (last !== undefined && prevCursor !== last) gaps.push(`${prevCursor} after ${last}`);
      }
      if (cursor !== "") last = cursor;
    }
  });
  await Promise.race([opened.promise, following]);
  return {
    events,
    complaints() {
      const times = events.map(({ commitTime }) => nanoseconds(commitTime));
      const late = times.filter((time, index) => time <= (times[index - 1] ?? 0n));
      const ids = new Set(events.map(({ eventId }) => eventId));
      return [
        ...gaps,
        ...late.map((time) => `${time} is out of order`),
        ...(ids.size === events.length ? [] : ["an event came twice"]),
      ];
    },
    async stop() {
      stop.abort();
      await following;
    },
  };
}

/** Reads a stream; one that ends because its reader wants no more has not failed. */
export async function untilStopped(read: () => Promise<void>): Promise<void> {
  try {
    await read();
  } catch (error) {
    if (ConnectError.from(error).code !== Code.Canceled) throw error;
  }
}

function nanoseconds(time: Timestamp | undefined): bigint {
  return time === undefined ? 0n : time.seconds * 1_000_000_000n + BigInt(time.nanos);
}
