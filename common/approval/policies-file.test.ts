import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { approvers, policyText } from "../../test/support/approval/approvals.ts";
import { openPoliciesFile, type PoliciesFile, readPoliciesFile } from "./policies-file.ts";

const nowSeconds = 1_780_000_000n;
const onFault = vi.fn();
let folder: string;
let path: string;
let file: PoliciesFile | undefined;

beforeEach(() => {
  vi.useFakeTimers();
  onFault.mockReset();
  folder = mkdtempSync(join(tmpdir(), "sovr-approvals-"));
  path = join(folder, "approvals.yaml");
});
afterEach(() => {
  file?.close();
  file = undefined;
  vi.useRealTimers();
  rmSync(folder, { recursive: true });
});

/** Each write has a time of its own, as writes that a person makes have. */
let writes = 0;
function write(text: string): void {
  writes += 1;
  writeFileSync(path, text);
  utimesSync(path, 1_700_000_000 + writes, 1_700_000_000 + writes);
}

function open(): PoliciesFile {
  file = openPoliciesFile(path, () => nowSeconds, onFault);
  return file;
}

/** The file with a version of its own behind what there is. */
function withVersion(activeFrom: string): string {
  const { versions } = JSON.parse(policyText());
  return JSON.stringify({ versions: [...versions, { activeFrom }] });
}

const nextPoll = () => vi.advanceTimersByTime(1_000);

test("without a path nothing needs approval", () => {
  const none = openPoliciesFile(undefined, () => nowSeconds, onFault);
  expect(none.current().versions).toEqual([]);
  expect(readPoliciesFile(undefined).versions).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
});

test("a file that is missing or bad stops the start", () => {
  expect(open).toThrow(`APPROVALS_PATH is "${path}"`);
  write("versions: []");
  expect(open).toThrow("line 1: versions");
  expect(vi.getTimerCount()).toBe(0);
});

test("a version that begins in the future is taken up, and so is a revocation", () => {
  write(policyText());
  const { current } = open();
  write(withVersion("2027-01-01T00:00:00Z"));
  nextPoll();
  expect(current().versions).toHaveLength(2);
  write(policyText({ revokeTime: "2026-05-01T00:00:00Z" }));
  nextPoll();
  expect(current().revokeTimes.has(approvers[2].address)).toBe(true);
  expect(onFault).not.toHaveBeenCalled();
});

test.each([
  ["a version that has begun is changed", policyText().replaceAll('"needs":2', '"needs":1')],
  ["a new version begins in the past", withVersion("2026-05-01T00:00:00Z")],
  [
    "what was there is gone",
    JSON.stringify({ versions: [{ activeFrom: "2027-01-01T00:00:00Z" }] }),
  ],
  ["it cannot be read", "versions: ["],
])("where %s, the policies stay as they were, and that is told once", (_what, text) => {
  write(policyText());
  const { current } = open();
  const before = current();
  write(text);
  nextPoll();
  nextPoll();
  expect(current()).toBe(before);
  expect(onFault).toHaveBeenCalledOnce();
});

test("who is revoked stays so", () => {
  write(policyText({ revokeTime: "2026-05-01T00:00:00Z" }));
  const { current } = open();
  write(policyText());
  nextPoll();
  expect(current().revokeTimes.has(approvers[2].address)).toBe(true);
  expect(onFault).toHaveBeenCalledOnce();
});
