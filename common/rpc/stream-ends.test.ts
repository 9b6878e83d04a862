import { createContextValues, type HandlerContext } from "@connectrpc/connect";
import { expect, test, vi } from "vitest";
import { principalKey } from "./access/principal.ts";
import { drainSignalKey } from "./drain.ts";
import { streamEnds } from "./stream-ends.ts";

const ageMsMax = 600_000;
const nowMs = 1_000_000;
const drain = new AbortController().signal;

function endsOf(expiresAtMs: number) {
  vi.useFakeTimers({ now: nowMs });
  const values = createContextValues().set(drainSignalKey, drain).set(principalKey, {
    subject: "alice",
    scopes: new Set<string>(),
    wallet: undefined,
    expiresAtMs,
  });
  const { signal } = new AbortController();
  const ends = streamEnds({ values, signal } as HandlerContext, ageMsMax);
  expect(ends).toMatchObject({ signal, drain });
  vi.useRealTimers();
  return ends;
}

test("streams end in the last tenth of their greatest age, each at its own time", () => {
  const ends = Array.from({ length: 200 }, () => endsOf(Number.MAX_SAFE_INTEGER));
  const agesMs = ends.map(({ endsAtMs }) => endsAtMs - nowMs);
  expect(Math.min(...agesMs)).toBeGreaterThanOrEqual(ageMsMax * 0.9);
  expect(Math.max(...agesMs)).toBeLessThanOrEqual(ageMsMax);
  expect(new Set(agesMs).size).toBeGreaterThan(100);
  expect(new Set(ends.map(({ endsBecause }) => endsBecause))).toEqual(new Set(["max_age"]));
});

test("a stream does not outlive its caller's credentials", () => {
  expect(endsOf(nowMs + 1_000)).toMatchObject({
    endsAtMs: nowMs + 1_000,
    endsBecause: "credentials_expired",
  });
});
