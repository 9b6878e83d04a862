import { deepStrictEqual } from "node:assert";
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import type { Client } from "tigerbeetle-node";
import { describe, expect, it } from "vitest";
import {
  startEmbedded,
  startTigerBeetle,
  type TestEngine,
  tigerbeetleBinary,
} from "./testing/engines.ts";
import { expiringScript, type Step, script } from "./testing/fuzz-script.ts";
import { createModelClient } from "./testing/reference-model.ts";
import { runScript } from "./testing/run-script.ts";

/** Events per seed; the long run is `ENGINE_FUZZ_EVENTS=100000`. */
const EVENTS = Number(process.env["ENGINE_FUZZ_EVENTS"] ?? 1_000);
const SEEDS = (process.env["ENGINE_FUZZ_SEEDS"] ?? "1,2,3").split(",").map(Number);
const LONG = EVENTS > 10_000;
const TIMEOUT_MS = LONG ? 3_600_000 : 300_000;
const SECOND = 1_000_000_000n;
/** Pending transfers of one second outlast what takes no longer than this, from a script's begin or its wait to the next. */
const PHASE_MS_MAX = 900;
/** By now they have expired. */
const EXPIRY_MS = 1_010;
/** Those of two seconds, which are rare, outlast a whole script. */
const SCRIPT_MS_MAX = 1_900;
const PULSE_MS_MAX = 3_000;

const eventsOf = (steps: readonly Step[]): number =>
  steps.reduce((sum, s) => {
    if (s.op === "createAccounts") return sum + s.batch.length;
    if (s.op === "createTransfers") return sum + s.batches.flat().length;
    return sum;
  }, 0);

/** Ids of one script: far apart, and with all four words in use. */
function baseOf(run: number): bigint {
  const digest = createHash("sha256").update(`${process.pid} ${Date.now()} ${run}`).digest("hex");
  return (BigInt(`0x${digest.slice(0, 23)}`) << 32n) | 1n;
}

let scriptsRun = 0;

/** What the two engines of a comparison have for a clock. */
interface Pacer {
  /** A script begins whose ids begin at `base`. */
  begin?(base: bigint): void;
  /** Lets pending transfers of a second expire. */
  wait(): Promise<void>;
  /** Whether one of a second may have expired on one side earlier than on the other: then nothing can be compared. */
  isLate?(): boolean;
}

/** A machine that is late this often in a row cannot compare the script. */
const ATTEMPTS_MAX = 3;

/** Runs scripts on two engines until `events` events were sent; any difference fails and shrinks. */
async function compare(
  scripts: fc.Arbitrary<Step[]>,
  seed: number,
  events: number,
  statuses: Set<number>,
  left: () => Client,
  right: () => Client,
  pacer: Pacer,
  runs: { numRuns: number; endOnFailure?: boolean } = { numRuns: 10 },
): Promise<number> {
  let sent = 0;
  const property = fc.asyncProperty(scripts, async (steps) => {
    sent += eventsOf(steps);
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      const base = baseOf(scriptsRun++);
      pacer.begin?.(base);
      const [a, b] = await Promise.all([
        runScript(left(), steps, base, pacer.wait),
        runScript(right(), steps, base, pacer.wait),
      ]);
      if (pacer.isLate?.() === true) continue;
      deepStrictEqual(a, b);
      collectStatuses(a, statuses);
      return;
    }
  });
  for (let chunk = 0; sent < events; chunk++) {
    await fc.assert(property, { seed: seed * 10_000 + chunk, ...runs });
  }
  return sent;
}

function collectStatuses(value: unknown, into: Set<number>): void {
  if (Array.isArray(value)) {
    for (const item of value) collectStatuses(item, into);
  } else if (value !== null && typeof value === "object") {
    for (const [key, item] of Object.entries(value)) {
      if (key === "status" && typeof item === "number") into.add(item);
      else collectStatuses(item, into);
    }
  }
}

/** Both engines' scripts meet here; when the second arrives, `then` runs and both go on. */
function meeting(then: () => void | Promise<void>): () => Promise<void> {
  let first: (() => void) | undefined;
  return async () => {
    if (first) {
      await then();
      first();
      first = undefined;
      return;
    }
    const second = new Promise<void>((resolve) => {
      first = resolve;
    });
    await second;
  };
}

/** Two engines that run by the machine's clock. */
function realTime(left: () => Client, right: () => Client): Pacer {
  let accounts: bigint[] = [];
  let [beganMs, phaseMs] = [0, 0];
  let [late, apart] = [false, false];
  const endPhase = (): void => {
    const nowMs = performance.now();
    late ||= nowMs - phaseMs > PHASE_MS_MAX || nowMs - beganMs > SCRIPT_MS_MAX;
  };
  const balances = async (client: Client) =>
    (await client.lookupAccounts(accounts)).map(({ timestamp: _, ...rest }) => rest);
  return {
    begin(base) {
      accounts = [1n, 2n, 3n, 4n, 5n, 6n].map((id) => base + id);
      beganMs = phaseMs = performance.now();
      [late, apart] = [false, false];
    },
    wait: meeting(async () => {
      endPhase();
      await sleep(EXPIRY_MS);
      // TigerBeetle releases what has expired at its next pulse.
      const untilMs = performance.now() + PULSE_MS_MAX;
      do {
        const [a, b] = await Promise.all([balances(left()), balances(right())]);
        apart = !isDeepStrictEqual(a, b);
        if (apart) await sleep(10);
      } while (apart && performance.now() < untilMs);
      phaseMs = performance.now();
    }),
    isLate() {
      endPhase();
      // What stays apart is no matter of time.
      return late && !apart;
    },
  };
}

describe("random scripts against the independent model", () => {
  it.each(SEEDS)(
    "finds no difference with seed %i",
    async (seed) => {
      const clock = new SharedArrayBuffer(8);
      const time = new BigInt64Array(clock);
      time[0] = BigInt(Date.now()) * 1_000_000n;
      let model: Client | undefined;
      // Small epochs, so that scripts cross the borders of the indexes.
      const embedded = startEmbedded({ clock, epochEvents: 64, indexEvents: 16 });
      const statuses = new Set<number>();
      const wait = meeting(() => {
        time[0] = (time[0] as bigint) + 2n * SECOND;
      });
      try {
        const scripts = fc.oneof(
          { weight: 3, arbitrary: script },
          { weight: 1, arbitrary: expiringScript },
        );
        const sequential = scripts.map((steps) => {
          model = createModelClient(() => Atomics.load(time, 0));
          return steps;
        });
        const sent = await compare(
          sequential,
          seed,
          EVENTS,
          statuses,
          () => embedded.client,
          () => model as Client,
          { wait },
        );
        expect(sent).toBeGreaterThanOrEqual(EVENTS);
      } finally {
        await embedded.stop();
      }
    },
    TIMEOUT_MS,
  );
});

describe.skipIf(!tigerbeetleBinary())("random scripts against TigerBeetle", () => {
  it(
    "finds no difference",
    async () => {
      const real: TestEngine = await startTigerBeetle(LONG ? "full" : "development");
      const embedded = startEmbedded({
        epochEvents: LONG ? 1024 : 64,
        indexEvents: LONG ? 256 : 16,
      });
      const statuses = new Set<number>();
      const left = () => embedded.client;
      const right = () => real.client;
      const pacer = realTime(left, right);
      try {
        for (const seed of SEEDS) {
          const expiring = LONG ? EVENTS / 50 : 1;
          // To shrink what waits for a second takes minutes.
          const few = { numRuns: 2, endOnFailure: !LONG };
          await compare(expiringScript, seed, expiring, statuses, left, right, pacer, few);
          const sent = await compare(script, seed, EVENTS, statuses, left, right, pacer);
          expect(sent).toBeGreaterThanOrEqual(EVENTS);
          if (LONG) console.info(`seed ${seed}: ${sent} events, no difference`);
        }
        if (LONG) console.info(`statuses seen: ${[...statuses].sort((a, b) => a - b).join(" ")}`);
      } finally {
        await embedded.stop();
        await real.stop();
      }
    },
    TIMEOUT_MS,
  );
});
