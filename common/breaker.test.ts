// Goal: nothing is asked in vain for long, and nothing is refused that would be answered. Method: a clock of the test's own,
// requests that it answers, breaks or leaves, in random order; what holds is said from the requests alone.
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Breaker, createBreaker, createBreakerCells, lookEveryMs } from "./breaker.ts";

const silenceMs = 2_000;
/** When it is open at the latest: silence is noticed by looking. */
const openMs = silenceMs + lookEveryMs;

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A request under way: the test says how it ends. */
interface Request {
  readonly startMs: number;
  answer(): void;
  fail(): void;
}

function harness(cells = createBreakerCells(2), index = 0) {
  const changes: boolean[] = [];
  const probes: Request[] = [];
  const breaker = createBreaker({ cells, silenceMs });
  breaker.onChange((isOpen) => changes.push(isOpen));
  const underWay = (into: Request[]) =>
    line.watch(
      () =>
        new Promise<void>((resolve, reject) => {
          const startMs = Date.now();
          into.push({ startMs, answer: resolve, fail: () => reject(new Error("broken")) });
        }),
    );
  const line = breaker.line(index, () => underWay(probes));
  const ask = (): Request => {
    const asked: Request[] = [];
    underWay(asked).catch(() => undefined);
    const [request] = asked;
    if (request === undefined) throw new Error("the request was not made");
    return request;
  };
  return { breaker, changes, probes, ask, cells };
}

const passMs = (ms: number) => vi.advanceTimersByTimeAsync(ms);

describe("a breaker", () => {
  test("opens when a request has waited for too long, and closes when a probe is answered", async () => {
    const { breaker, changes, probes, ask } = harness();
    ask();
    await passMs(silenceMs);
    expect(breaker.isOpen()).toBe(false);
    await passMs(lookEveryMs);
    // By itself, for those who wait and ask nothing.
    expect(changes).toEqual([true]);
    expect(probes).toHaveLength(1);
    probes[0]?.answer();
    await passMs(0);
    expect(changes).toEqual([true, false]);
    expect(breaker.isOpen()).toBe(false);
  });

  test("stays open when what was under way breaks off, until a probe is answered", async () => {
    const { breaker, probes, ask } = harness();
    const request = ask();
    await passMs(openMs);
    request.fail();
    probes[0]?.fail();
    await passMs(0);
    expect([breaker.isOpen(), probes.length]).toEqual([true, 1]);
    await passMs(lookEveryMs);
    expect([breaker.isOpen(), probes.length]).toEqual([true, 2]);
    probes[1]?.answer();
    await passMs(0);
    expect(breaker.isOpen()).toBe(false);
    await passMs(60_000);
    expect([breaker.isOpen(), probes.length]).toEqual([false, 2]);
  });

  test("does nothing while nobody waits, and forgets who broke off early", async () => {
    const { breaker, probes, changes, ask } = harness();
    ask().fail();
    ask().answer();
    await passMs(60_000);
    expect([breaker.isOpen(), probes, changes]).toEqual([false, [], []]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("counts a silence from the last answer, as long as answers come in turn", async () => {
    const { breaker, ask } = harness();
    const requests = Array.from({ length: 10 }, ask);
    for (const request of requests) {
      await passMs(silenceMs - 1);
      expect(breaker.isOpen()).toBe(false);
      request.answer();
    }
    await passMs(60_000);
    expect(breaker.isOpen()).toBe(false);
  });

  test("blames nobody for the time in which this process stood still", async () => {
    const { breaker, ask } = harness();
    const request = ask();
    await passMs(lookEveryMs);
    // Its timers are late by a minute, and then the answer is read.
    vi.setSystemTime(Date.now() + 60_000);
    await passMs(lookEveryMs);
    expect(breaker.isOpen()).toBe(false);
    request.answer();
    await passMs(60_000);
    expect(breaker.isOpen()).toBe(false);
  });

  test("holds on all threads, which notice by themselves that it has closed", async () => {
    const here = harness();
    const there = harness(here.cells, 1);
    const request = there.ask();
    await passMs(openMs);
    here.ask().answer();
    await passMs(lookEveryMs);
    expect([here.changes, here.probes]).toEqual([[true], []]);
    there.probes[0]?.answer();
    await passMs(lookEveryMs);
    expect(here.changes).toEqual([true, false]);
    request.answer();
    await passMs(lookEveryMs);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("holds nobody up when it is closed down, and probes no more", async () => {
    const { breaker, probes, ask } = harness();
    ask();
    await passMs(openMs);
    breaker.close();
    await passMs(60_000);
    expect([breaker.isOpen(), probes.length, vi.getTimerCount()]).toEqual([false, 1, 0]);
  });
});

/** What happens next: time passes, somebody asks, or the oldest or newest of those who wait is answered or broken off. */
const step = fc.oneof(
  fc.record({ kind: fc.constant("PASS" as const), ms: fc.integer({ min: 1, max: 3_000 }) }),
  fc.record({ kind: fc.constant("ASK" as const) }),
  fc.record({ kind: fc.constantFrom("ANSWER" as const, "FAIL" as const), oldest: fc.boolean() }),
);

/** Plays a script. `look` is called after every step and every 50 ms. */
async function play(
  script: readonly (typeof step extends fc.Arbitrary<infer Step> ? Step : never)[],
  look: (seen: { breaker: Breaker; waiting: readonly Request[]; answeredMs: number }) => void,
) {
  const { breaker, ask, probes } = harness();
  const waiting: Request[] = [];
  const sent: Request[] = [];
  let answeredMs = 0;
  for (const each of script) {
    if (each.kind === "PASS") {
      for (let ms = each.ms; ms > 0; ms -= 50) {
        await passMs(Math.min(ms, 50));
        look({ breaker, waiting, answeredMs });
      }
    } else if (each.kind === "ASK") waiting.push(ask());
    else {
      const request = each.oldest ? waiting.shift() : waiting.pop();
      if (request !== undefined && each.kind === "ANSWER") answeredMs = Date.now();
      if (each.kind === "ANSWER") request?.answer();
      else request?.fail();
      await passMs(0);
    }
    // Probes are answered as little as anything else; what was sent is seen.
    sent.push(...probes.splice(0));
    look({ breaker, waiting, answeredMs });
  }
  return { breaker, sent };
}

const scripts = fc.array(step, { maxLength: 40 });

describe("however requests come and end", () => {
  test("it is never open while answers come", async () => {
    await fc.assert(
      fc.asyncProperty(scripts, (script) =>
        play(script, ({ breaker, answeredMs }) => {
          if (Date.now() - answeredMs < silenceMs) expect(breaker.isOpen()).toBe(false);
        }).then(({ breaker }) => breaker.close()),
      ),
    );
  });

  test("it is open once the oldest has waited for too long without any answer", async () => {
    await fc.assert(
      fc.asyncProperty(scripts, (script) =>
        play(script, ({ breaker, waiting, answeredMs }) => {
          const oldestMs = Math.min(...waiting.map(({ startMs }) => startMs));
          if (Date.now() - Math.max(oldestMs, answeredMs) >= openMs)
            expect(breaker.isOpen()).toBe(true);
        }).then(({ breaker }) => breaker.close()),
      ),
    );
  });

  test("one answer of a probe closes it, and one probe is under way at most", async () => {
    await fc.assert(
      fc.asyncProperty(scripts, async (script) => {
        const { breaker, sent } = await play(script, () => undefined);
        // None of them has ended, so there is no second one.
        expect(sent.length).toBeLessThanOrEqual(1);
        if (breaker.isOpen()) {
          const probe = sent.at(-1);
          probe?.answer();
          await passMs(0);
          expect(breaker.isOpen()).toBe(false);
        }
        breaker.close();
      }),
    );
  });
});
