import { clone, create, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { BookmarkSchema } from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { encodeMessage, shareMessage } from "./shared-message.ts";

test("a shared message is encoded once, any other each time", () => {
  const shared = shareMessage(create(BookmarkSchema, { head: "a" }));
  const bytes = encodeMessage(BookmarkSchema, shared);
  expect(encodeMessage(BookmarkSchema, shareMessage(shared))).toBe(bytes);
  expect(new Uint8Array(bytes)).toEqual(toBinary(BookmarkSchema, shared));

  const changing = create(BookmarkSchema, { head: "a" });
  encodeMessage(BookmarkSchema, changing);
  changing.head = "b";
  const changed = encodeMessage(BookmarkSchema, changing);
  expect(new Uint8Array(changed)).toEqual(toBinary(BookmarkSchema, changing));
});

test("a copy of a shared message is not shared", () => {
  const shared = shareMessage(create(BookmarkSchema, { head: "a" }));
  encodeMessage(BookmarkSchema, shared);
  for (const copy of [{ ...shared }, clone(BookmarkSchema, shared)]) {
    copy.head = "b";
    expect(new Uint8Array(encodeMessage(BookmarkSchema, copy))).toEqual(
      toBinary(BookmarkSchema, copy),
    );
  }
});
