import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { lastMessage } from "./log-files.ts";

const folder = mkdtempSync(join(tmpdir(), "sovr-log-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("lastMessage", () => {
  it.each([
    ["a plain line", "one\nPORT is bad\n\n", "PORT is bad"],
    [
      "a log entry",
      '{"msg":"ready"}\n{"msg":"cannot go on","err":{"message":"no disk"}}\n',
      "cannot go on: no disk",
    ],
    [
      "an uncaught error",
      "file:///x.ts:1\nTypeError: no such thing\n    at x\n\nNode.js v24.21.0\n",
      "TypeError: no such thing",
    ],
    ["an entry cut in half", '{"msg":"rea', '{"msg":"rea'],
    ["nothing", "", "it wrote no log"],
  ])("tells the end of %s", (_, text, expected) => {
    const file = join(folder, "part.log");
    writeFileSync(file, text);
    expect(lastMessage(file)).toBe(expected);
  });

  it("tells of a log that is not there", () => {
    expect(lastMessage(join(folder, "none.log"))).toBe("it wrote no log");
  });
});
