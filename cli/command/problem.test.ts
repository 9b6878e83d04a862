import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { fileProblem } from "./problem.ts";

const failure = (code: string, path?: string) =>
  Object.assign(new Error(`${code}: something`), { code, ...(path === undefined ? {} : { path }) });

it("says of a file that cannot be used whose it is and what to do, in one line", () => {
  const folder = mkdtempSync(join(tmpdir(), "problem-"));
  try {
    const path = join(folder, "not/there/yet");
    const owner = process.getuid?.() === 0 ? "root" : `the user ${process.getuid?.()}`;
    expect(fileProblem(failure("EACCES", path))?.message).toMatch(
      new RegExp(
        `^${path} cannot be used: it belongs to ${owner}, and you are .*: run this as ${owner}`,
      ),
    );
    expect(fileProblem(failure("EROFS", path))?.message).toMatch(
      /cannot be written to: .*MESH_STATE$/,
    );
    expect(fileProblem(failure("ENOSPC", path))?.message).toMatch(/the disk is full: make room/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

it("leaves every other error to be told as it is", () => {
  expect(fileProblem(failure("ENOENT", "/x"))).toBeUndefined();
  expect(fileProblem(failure("EACCES"))).toBeUndefined(); // a port, not a file
  expect(fileProblem(new Error("other"))).toBeUndefined();
  expect(fileProblem("text")).toBeUndefined();
});
