// Goal: no stream waits for ever, none misses its end, and each gives back what it holds, once.
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { type StreamEnds, StreamLife } from "./stream-life.ts";

const lives: StreamLife[] = [];
afterEach(() => {
  for (const life of lives.splice(0)) life.close();
});

function start(ends: Partial<StreamEnds> = {}, beatMs = 60_000): StreamLife {
  const { signal } = new AbortController();
  const life = new StreamLife({
    ends: {
      signal,
      drain: signal,
      endsAtMs: Date.now() + 60_000,
      endsBecause: "max_age",
      ...ends,
    },
    beatMs,
  });
  lives.push(life);
  return life;
}

const isQuiet = async (life: StreamLife) => (await Promise.race([life.wait(), sleep(30)])) !== true;

test("a wait ends when it is woken; wake-ups that nobody waits for end the next one, together", async () => {
  const life = start();
  const waiting = life.wait();
  life.wake();
  expect(await waiting).toBe(true);
  life.wake();
  life.wake();
  expect(await life.wait()).toBe(true);
  expect(await isQuiet(life)).toBe(true);
});

test("a quiet stream beats, and late beats count as one", async () => {
  const life = start({}, 10);
  expect(life.takeBeat()).toBe(false);
  expect(await life.wait()).toBe(true);
  expect(life.takeBeat()).toBe(true);
  expect(life.takeBeat()).toBe(false);
  await sleep(50);
  expect(life.takeBeat()).toBe(true);
  expect(life.takeBeat()).toBe(false);
});

test("the process that drains ends it, though it drained before", async () => {
  const drain = new AbortController();
  const before = start({ drain: drain.signal });
  const waiting = before.wait();
  drain.abort();
  expect(await waiting).toBe(false);
  const after = start({ drain: drain.signal });
  expect(await after.wait()).toBe(false);
  for (const life of [before, after]) {
    expect(life.ending).toBe("draining");
    life.throwIfOver("resume it");
    life.finish();
    expect(() => life.throwIfOver("resume it")).toThrow(
      expect.objectContaining({ kind: "DRAINING", message: "The stream has ended; resume it." }),
    );
  }
});

test.each(["max_age", "credentials_expired"] as const)(
  "its time ends it, and says %s, whatever comes after",
  async (endsBecause) => {
    const drain = new AbortController();
    const ends = { endsAtMs: Date.now() + 20, endsBecause, drain: drain.signal };
    const life = start(ends);
    expect(await life.wait()).toBe(false);
    drain.abort();
    expect(life.ending).toBe(endsBecause);
  },
);

test("an end that is further away than a timer can wait does not come at once", async () => {
  const life = start({ endsAtMs: Date.now() + 2 ** 40 });
  expect(await isQuiet(life)).toBe(true);
  expect(life.ending).toBeUndefined();
});

test("a caller who leaves ends it, without a reason to tell", async () => {
  const left = new AbortController();
  const life = start({ signal: left.signal });
  const waiting = life.wait();
  left.abort();
  expect(await waiting).toBe(false);
  expect(life.ending).toBeUndefined();
  expect(() => life.throwIfOver("resume it")).toThrow(
    expect.objectContaining({ kind: "CANCELLED" }),
  );
});

test("closing gives back what it owns, once and last first, and ends the wait", async () => {
  const life = start();
  const released: string[] = [];
  life.own(() => released.push("place"));
  life.own(() => released.push("hold"));
  const waiting = life.wait();
  life.close();
  life.close();
  expect(await waiting).toBe(false);
  expect(await life.wait()).toBe(false);
  expect(released).toEqual(["hold", "place"]);
  expect(() => life.throwIfOver("watch again")).toThrow("watch again");
});
