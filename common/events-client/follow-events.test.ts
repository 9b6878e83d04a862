// Goal: a follower gets every event once and in order through whatever ends its streams, and hears of every gap.
// Method: a service that says exactly what each test wants, behind Connect's in-memory transport.
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import {
  EventStreamService,
  type SubscribeRequest,
  type SubscribeResponse,
  SubscribeResponseSchema,
} from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { type FollowOptions, followEvents, StreamGapError } from "./follow-events.ts";

type Script = (request: SubscribeRequest, signal: AbortSignal) => AsyncIterable<SubscribeResponse>;

/** A client of a service whose calls follow one script each; the last one for all that follow. */
function clientOf(...scripts: Script[]) {
  const requests: SubscribeRequest[] = [];
  const transport = createRouterTransport(({ service }) => {
    service(EventStreamService, {
      subscribe(request, { signal }) {
        const script = scripts[Math.min(requests.length, scripts.length - 1)];
        requests.push(request);
        if (script === undefined) throw new Error("no script");
        return script(request, signal);
      },
    });
  });
  return { client: createClient(EventStreamService, transport), requests };
}

const opened = (at: number) =>
  create(SubscribeResponseSchema, {
    message: { case: "opened", value: { startCursor: `c${at}` } },
    cursor: `c${at}`,
    prevCursor: `c${at}`,
  });
const event = (at: number, prev = at - 1) =>
  create(SubscribeResponseSchema, {
    message: { case: "event", value: { eventId: `0-${at}` } },
    cursor: `c${at}`,
    prevCursor: `c${prev}`,
  });
const closing = (at: number) =>
  create(SubscribeResponseSchema, {
    message: { case: "closing", value: { cursor: `c${at}`, reason: "draining" } },
    cursor: `c${at}`,
    prevCursor: `c${at}`,
  });

function says(messages: SubscribeResponse[], error?: ConnectError): Script {
  return async function* () {
    yield* messages;
    if (error !== undefined) throw error;
  };
}

/** Says something and then nothing more. */
function hangs(messages: SubscribeResponse[]): Script {
  return async function* (_request, signal) {
    yield* messages;
    await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  };
}

const quick: FollowOptions = { backoffMs: { first: 1, last: 2 }, attemptsMax: 5 };
const away = new ConnectError("away", Code.Unavailable);

/** The ids of the first events, and the error that ended it if it came first. */
async function follow(
  client: ReturnType<typeof clientOf>["client"],
  count: number,
  options: FollowOptions = {},
) {
  const ids: string[] = [];
  try {
    for await (const followed of followEvents(client, { ...quick, ...options })) {
      if (followed.kind === "event") ids.push(followed.event.eventId);
      if (ids.length === count) break;
    }
    return { ids };
  } catch (error) {
    return { ids, error };
  }
}

describe("a follower", () => {
  test("resumes from its last cursor, and tells a repeated event once", async () => {
    const { client, requests } = clientOf(
      says([opened(0), event(1), event(2)], away),
      says([], away),
      says([opened(2), event(3), closing(3)], away),
      says([opened(3), event(2, 3), event(4, 2)]),
    );
    const start = { case: "earliest", value: true } as const;
    expect(await follow(client, 4, { start })).toEqual({ ids: ["0-1", "0-2", "0-3", "0-4"] });
    expect(requests.map((request) => request.start)).toEqual([
      start,
      { case: "cursor", value: "c2" },
      { case: "cursor", value: "c2" },
      { case: "cursor", value: "c3" },
    ]);
  });

  test.each([
    ["between two messages", [opened(0), event(1), event(3)], ["0-1"], "c1"],
    ["before the first message", [opened(7), event(8)], [], "c0"],
  ])("hears of a gap %s", async (_where, messages, ids, cursor) => {
    const { client } = clientOf(says(messages));
    const result = await follow(client, 9, { start: { case: "cursor", value: "c0" } });
    expect(result.ids).toEqual(ids);
    expect(result.error).toBeInstanceOf(StreamGapError);
    expect(result.error).toMatchObject({ cursor });
  });

  test("does not insist where that is no use, but after an announced end it does", async () => {
    const refused = new ConnectError("no", Code.Unauthenticated);
    const first = clientOf(says([opened(0), event(1)], refused));
    expect(await follow(first.client, 2)).toMatchObject({ ids: ["0-1"], error: { code: 16 } });
    const second = clientOf(
      says([opened(0), event(1), closing(1)], refused),
      says([opened(1), event(2)]),
    );
    expect(await follow(second.client, 2)).toEqual({ ids: ["0-1", "0-2"] });
  });

  test("gives up after as many failures in a row as it may have", async () => {
    const { client, requests } = clientOf(says([opened(0)], away), says([], away));
    const pauses: number[] = [];
    const onInterrupted = (_error: ConnectError, pauseMs: number) => pauses.push(pauseMs);
    expect(await follow(client, 1, { onInterrupted })).toMatchObject({ error: { code: 14 } });
    expect(requests).toHaveLength(5);
    expect(pauses.every((ms) => ms >= 0.5 && ms <= 2)).toBe(true);
  });

  test("says how its connection stands, and waits as it is told", async () => {
    const { client } = clientOf(says([opened(0), event(1)], away), says([opened(1), event(2)]));
    const said: string[] = [];
    const result = await follow(client, 2, {
      backoffMs: { first: 60_000, last: 60_000 },
      wait: async () => void said.push("waits"),
      onConnected: () => said.push("connected"),
      onInterrupted: () => said.push("interrupted"),
    });
    expect(result).toEqual({ ids: ["0-1", "0-2"] });
    expect(said).toEqual(["connected", "interrupted", "waits", "connected"]);
  });

  test("takes a stream that is silent for dead", async () => {
    const { client, requests } = clientOf(
      hangs([opened(0), event(1)]),
      says([opened(1), event(2)]),
    );
    expect(await follow(client, 2, { heartbeatMs: 20 })).toEqual({ ids: ["0-1", "0-2"] });
    expect(requests).toHaveLength(2);
  });

  test("ends when its signal fires, whatever it waits for", async () => {
    for (const script of [hangs([opened(0)]), says([], away)]) {
      const { client } = clientOf(script);
      const controller = new AbortController();
      const backoffMs = { first: 60_000, last: 60_000 };
      const following = follow(client, 1, { signal: controller.signal, backoffMs });
      setTimeout(() => controller.abort(), 20);
      expect(await following).toEqual({ ids: [] });
    }
  });
});
