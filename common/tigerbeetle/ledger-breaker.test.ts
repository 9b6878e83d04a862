// Goal: whoever only reads does not wait for a silent ledger, and whoever writes hears what became of it. Method: a clock of
// the test's own, and requests that nobody answers before it says so.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createBreakerCells } from "#common/breaker.ts";
import { createLedgerBreaker } from "./ledger-breaker.ts";

const silenceMs = 2_000;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function harness() {
  const breaker = createLedgerBreaker({ cells: createBreakerCells(1), silenceMs });
  /** Answers what is under way, the oldest first. */
  const answers: (() => void)[] = [];
  const request = () => new Promise<string>((resolve) => answers.push(() => resolve("answer")));
  const line = breaker.line(0, request);
  const refusals: Error[] = [];
  line.onSilence((refusal) => refusals.push(refusal));
  return { breaker, line, request, answers, refusals };
}

const passMs = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const refusal = { kind: "LEDGER_UNAVAILABLE", retryAfterMs: 500 };

test("refuses reads that wait and reads that come, and leaves what was sent its answer", async () => {
  const { breaker, line, request, answers, refusals } = harness();
  const write = line.send(request);
  const read = expect(line.read(request)).rejects.toMatchObject(refusal);
  await passMs(2 * silenceMs);
  await read;
  expect(refusals).toMatchObject([refusal]);
  expect(() => line.requireAnswers()).toThrow(expect.objectContaining(refusal));
  await expect(line.read(request)).rejects.toMatchObject(refusal);
  // The write, the read and the probe; the second read was not made.
  expect(answers).toHaveLength(3);
  answers[0]?.();
  await expect(write).resolves.toBe("answer");
  expect(breaker.isOpen()).toBe(false);
  const next = line.read(request);
  answers.at(-1)?.();
  await expect(next).resolves.toBe("answer");
});

test("passes on how a request ends", async () => {
  const { line } = harness();
  const fails = () => Promise.reject(new Error("broken"));
  await expect(line.read(fails)).rejects.toThrow("broken");
  await expect(line.send(fails)).rejects.toThrow("broken");
  await expect(line.read(() => Promise.resolve(7))).resolves.toBe(7);
});
