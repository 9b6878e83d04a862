import { expect, test, vi } from "vitest";
import { createOpenStreams } from "./open-streams.ts";

const never = new AbortController().signal;

test("waits for the last of them", async () => {
  const streams = createOpenStreams();
  const cut = vi.fn();
  const closed = [streams.opened(cut), streams.opened(vi.fn())];
  let hasEnded = false;
  const ended = streams.ended(never).then(() => {
    hasEnded = true;
  });
  closed[0]?.();
  closed[0]?.();
  await Promise.resolve();
  expect(hasEnded).toBe(false);
  streams.cut();
  expect(cut).not.toHaveBeenCalled();
  closed[1]?.();
  await ended;
  await streams.ended(never);
});

test("waits no longer than it may, and then cuts what is left", async () => {
  const streams = createOpenStreams();
  const cut = vi.fn();
  streams.opened(cut);
  const late = new AbortController();
  const ended = streams.ended(late.signal);
  late.abort();
  await ended;
  streams.cut();
  expect(cut).toHaveBeenCalledTimes(1);
});
