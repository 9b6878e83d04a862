import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, describe, expect, it } from "vitest";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { EventType } from "#gen/sovr/eventstream/v1/event_pb.ts";
import {
  type SubscribeRequestSchema,
  type SubscribeResponse,
  SubscribeResponseSchema,
} from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { type Feed, type FeedOptions, openFeed } from "./feed.ts";

type Start = MessageInitShape<typeof SubscribeRequestSchema>["start"];
/** What a stream says, one after the other; an Error ends it, and nothing more keeps it open. */
type Script = readonly (SubscribeResponse | Error)[];

const opened = (at: string) =>
  create(SubscribeResponseSchema, {
    cursor: at,
    prevCursor: at,
    message: { case: "opened", value: {} },
  });

const event = (cursor: string, prevCursor: string, eventId = cursor) =>
  create(SubscribeResponseSchema, {
    cursor,
    prevCursor,
    message: {
      case: "event",
      value: { eventId, type: EventType.CLEARED, commitTime: timestampFromMs(Number(cursor)) },
    },
  });

const bookmark = (cursor: string, prevCursor: string) =>
  create(SubscribeResponseSchema, {
    cursor,
    prevCursor,
    message: { case: "bookmark", value: { headTime: timestampFromMs(Number(cursor)) } },
  });

const foreign = new ConnectError("another cluster", Code.FailedPrecondition, undefined, [
  { desc: ErrorInfoSchema, value: { reason: "CURSOR_WRONG_CLUSTER", domain: "sovr" } },
]);
const lost = new ConnectError("connection lost", Code.Unavailable);

describe("openFeed", () => {
  let feed: Feed | undefined;
  afterEach(() => feed?.close());

  /** A feed over streams that say what the scripts say, and where it asked each to start. */
  async function follow(scripts: readonly Script[], stored = new Map<string, string>()) {
    const starts: Start[] = [];
    const quiet = Promise.withResolvers<void>();
    const subscribe: FeedOptions["client"]["subscribe"] = async function* (request, options) {
      starts.push(request.start);
      const script = scripts[starts.length - 1];
      for (const said of script ?? []) {
        if (said instanceof Error) throw said;
        yield said;
      }
      quiet.resolve();
      await new Promise((resolve) => options?.signal?.addEventListener("abort", resolve));
    };
    const storage = {
      getItem: (key: string) => stored.get(key) ?? null,
      setItem: (key: string, value: string) => void stored.set(key, value),
    };
    feed = openFeed({
      client: { subscribe },
      storage,
      viewer: "0x1",
      wait: async () => undefined,
      nowMs: () => 86_400_000,
    });
    await quiet.promise;
    const state = feed.state.get();
    feed.close();
    return { state, starts, stored, ids: state.events.map(({ eventId }) => eventId) };
  }

  it("begins a day back, and tells the newest first", async () => {
    const { state, starts, ids } = await follow([
      [opened("1"), event("2", "1"), event("3", "2"), bookmark("9", "3")],
    ]);
    expect(starts).toEqual([{ case: "sinceTime", value: timestampFromMs(0) }]);
    expect(ids).toEqual(["3", "2"]);
    expect(state).toMatchObject({ connection: "live", cursor: "9", completeToMs: 9, gaps: 0 });
  });

  it("goes on from its cursor when the stream breaks, and tells nothing twice", async () => {
    const { state, starts, ids } = await follow([
      [opened("1"), event("2", "1"), bookmark("5", "2"), lost],
      [lost],
      [opened("5"), event("6", "5"), event("7", "6", "2")],
    ]);
    expect(starts.slice(1)).toEqual([
      { case: "cursor", value: "5" },
      { case: "cursor", value: "5" },
    ]);
    expect(ids).toEqual(["6", "2"]);
    expect(state).toMatchObject({ connection: "live", resumes: 1, gaps: 0 });
  });

  it("goes on from its cursor after a reload", async () => {
    const { stored } = await follow([[opened("1"), event("2", "1")]]);
    const { starts, ids } = await follow([[opened("2"), event("3", "2")]], stored);
    expect(starts).toEqual([{ case: "cursor", value: "2" }]);
    expect(ids).toEqual(["3", "2"]);
  });

  it("notices that a message is missing, and asks for it again", async () => {
    const { state, starts, ids } = await follow([
      [opened("1"), event("2", "1"), event("4", "3")],
      [opened("2"), event("3", "2"), event("4", "3")],
    ]);
    expect(starts[1]).toEqual({ case: "cursor", value: "2" });
    expect(ids).toEqual(["4", "3", "2"]);
    expect(state.gaps).toBe(1);
  });

  it("notices a stream that does not begin where it was asked to", async () => {
    const { state } = await follow([
      [opened("1"), event("2", "1"), lost],
      [opened("3")],
      [opened("2")],
    ]);
    expect(state.gaps).toBe(1);
  });

  it("throws away what belongs to another ledger", async () => {
    const { stored } = await follow([[opened("1"), event("2", "1")]]);
    const { starts, ids, state } = await follow(
      [[foreign], [opened("8"), event("9", "8")]],
      stored,
    );
    expect(starts.map((start) => start?.case)).toEqual(["cursor", "sinceTime"]);
    expect(ids).toEqual(["9"]);
    expect(state.cursor).toBe("9");
  });

  it("keeps what it holds bounded", async () => {
    const many = Array.from({ length: 300 }, (_, index) => event(`${index + 2}`, `${index + 1}`));
    const { ids, stored } = await follow([[opened("1"), ...many]]);
    expect(ids).toHaveLength(200);
    expect(ids[0]).toBe("301");
    const [text = ""] = stored.values();
    expect((JSON.parse(text) as { events: unknown[] }).events).toHaveLength(50);
  });
});
