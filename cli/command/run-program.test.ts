import { expect, it } from "vitest";
import { failureIn } from "./run-program.ts";

it("finds in what a program says why it has failed", () => {
  const initdb = [
    'selecting default "max_connections" ... 100',
    'FATAL:  could not write to file "pg_wal/xlogtemp.9": No space left on device',
    "child process exited with exit code 1",
    'initdb: removing contents of data directory "/x"',
  ].join("\n");
  expect(failureIn(initdb)).toBe(
    'FATAL:  could not write to file "pg_wal/xlogtemp.9": No space left on device: make room, then run this again',
  );
  expect(failureIn("initdb: error: no such user\nremoving\n")).toBe("initdb: error: no such user");
  expect(failureIn("one\ntwo\n\n")).toBe("two");
  expect(failureIn("")).toBe("no output");
});
