import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { countStarted, noteStarted, startedVariable } from "./started.ts";

let folder: string;
const given = process.env[startedVariable];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mesh-started-"));
});
afterEach(() => {
  if (given === undefined) delete process.env[startedVariable];
  else process.env[startedVariable] = given;
  rmSync(folder, { recursive: true });
});

it("counts what was noted, once each", () => {
  const file = join(folder, "started");
  process.env[startedVariable] = file;
  noteStarted("mesh", "postgres", "service", "service");
  noteStarted("service");
  noteStarted();
  expect(countStarted(readFileSync(file, "utf8"))).toEqual({
    postgres: 1,
    database: 0,
    mesh: 1,
    service: 3,
    tigerbeetle: 0,
    envoy: 0,
    browser: 0,
  });
});

it("notes nothing where nobody counts", () => {
  delete process.env[startedVariable];
  expect(() => noteStarted("browser")).not.toThrow();
});

it("refuses to count what it does not know", () => {
  expect(() => countStarted("postgres\npost")).toThrow('tests start no "post"');
});
