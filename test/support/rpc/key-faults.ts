// Runs before every test file: no error may leave a service of this process with other metadata keys than its reason's rule.
import { afterAll, expect } from "vitest";
import { onKeyFault } from "#common/rpc/key-faults.ts";

const faults: string[] = [];
const deafen = onKeyFault(({ text }) => faults.push(text));
afterAll(() => {
  // The next file of this process has its own.
  deafen();
  expect(takeKeyFaults()).toEqual([]);
});

/** What was told so far, for a test that provokes it. */
export function takeKeyFaults(): string[] {
  return faults.splice(0);
}
