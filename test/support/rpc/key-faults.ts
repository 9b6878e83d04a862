// Runs before every test file: no error may leave a service of this process with other metadata keys than its reason's rule.
import { afterAll, expect } from "vitest";
import { onKeyFault } from "#common/rpc/key-faults.ts";

const faults: string[] = [];
onKeyFault(({ text }) => faults.push(text));
afterAll(() => expect(takeKeyFaults()).toEqual([]));

/** What was told so far, for a test that provokes it. */
export function takeKeyFaults(): string[] {
  return faults.splice(0);
}
