// Goal: a small file is whole and durable. Method: real files; the order of the system calls, which alone decides what a
// power cut leaves, is recorded from a process of its own where `strace` is there.
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { keepWhole, writeWhole, writeWholeOnce } from "./write-whole.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "write-whole-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const modeOf = (file: string) => statSync(file).mode & 0o777;

describe("writeWhole", () => {
  it("makes the folders, writes, replaces, and leaves nothing beside", () => {
    const file = join(folder, "a/b/state.json");
    writeWhole(file, "one");
    writeWhole(file, "two");
    expect(readFileSync(file, "utf8")).toBe("two");
    expect(readdirSync(join(folder, "a/b"))).toEqual(["state.json"]);
  });

  it("lets nobody else read it, also where others could before", () => {
    const file = join(folder, "key");
    writeFileSync(file, "old");
    chmodSync(file, 0o644);
    writeWhole(file, "new");
    expect(modeOf(file)).toBe(0o600);
  });

  it("keeps the old text when the new one cannot be written", () => {
    const file = join(folder, "taken");
    writeWhole(join(file, "inside"), "x"); // a folder stands where the file should
    expect(() => writeWhole(file, "new")).toThrow(/EISDIR|ENOTEMPTY|EEXIST/);
    expect(readdirSync(folder)).toEqual(["taken"]);
  });

  it.skipIf(!hasStrace())("syncs the text before its name, and the name before it returns", () => {
    const file = join(folder, "deep/state.json");
    const calls = systemCalls(
      `import { writeWhole } from ${JSON.stringify(join(import.meta.dirname, "write-whole.ts"))};
       writeWhole(${JSON.stringify(file)}, "text");`,
    );
    // mkdir → fsync of the folder above; fsync of the file → rename → fsync of its folder.
    expect(calls).toEqual(["mkdir", "fsync", "fsync", "rename", "fsync"]);
  });
});

describe("keepWhole", () => {
  it("writes what is not there or other, and leaves alone what is the same", () => {
    const file = join(folder, "config");
    keepWhole(file, "one");
    const { ino } = statSync(file);
    keepWhole(file, "one");
    expect(statSync(file).ino).toBe(ino);
    keepWhole(file, "two");
    expect(readFileSync(file, "utf8")).toBe("two");
    chmodSync(file, 0o644);
    keepWhole(file, "two");
    expect(modeOf(file)).toBe(0o600);
  });
});

describe("writeWholeOnce", () => {
  it("writes what is not there, and leaves what is", () => {
    const file = join(folder, "lock");
    expect(writeWholeOnce(file, "mine")).toBe(true);
    expect(writeWholeOnce(file, "yours")).toBe(false);
    expect(readFileSync(file, "utf8")).toBe("mine");
    expect(readdirSync(folder)).toEqual(["lock"]);
    expect(existsSync(file)).toBe(true);
  });
});

function hasStrace(): boolean {
  try {
    execFileSync("strace", ["-V"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** The calls below the test's folder that decide what stays, in their order. */
function systemCalls(program: string): string[] {
  const log = join(folder, "strace.log");
  const main = join(folder, "main.ts");
  writeFileSync(main, program);
  const traced = "trace=mkdir,mkdirat,fsync,rename,renameat,renameat2";
  execFileSync("strace", ["-f", "-y", "-o", log, "-e", traced, process.execPath, main]);
  return readFileSync(log, "utf8")
    .split("\n")
    .filter((line) => line.includes(folder))
    .map((line) => /\b(mkdir|fsync|rename)(?:at2?)?\(/.exec(line)?.[1] ?? "")
    .filter((name) => name !== "");
}
