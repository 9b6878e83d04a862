import { describe, expect, it } from "vitest";
import type { StripeEvent, StripeEventPage } from "./ports.ts";
import { startWebhookSweep, sweepOnce, sweepTimes } from "./sweep.ts";

const signal = new AbortController().signal;
const startMs = 1_764_000_000_000;
const times = { ...sweepTimes, pagesMax: 2 };

function eventAt(seconds: number): StripeEvent {
  const createTimeMs = startMs + seconds * 1_000;
  return {
    eventId: `evt_${seconds}`,
    type: "payment_intent.succeeded",
    paymentIntentId: "pi_1",
    createTimeMs,
  };
}

/** A Stripe that tells events in pages of one, newest first, and a store that keeps what it is given. */
function worldWith(told: StripeEvent[], known: string[] = []) {
  const stored = new Set(known);
  const world = { sweptToMs: startMs, claims: 0, found: 0, asked: [] as (string | undefined)[] };
  return {
    world,
    stored,
    options: {
      store: {
        async insert(events: readonly StripeEvent[]) {
          const fresh = events.map(({ eventId }) => eventId).filter((id) => !stored.has(id));
          for (const id of fresh) stored.add(id);
          return fresh;
        },
        async claimSweep() {
          world.claims += 1;
          return world.sweptToMs;
        },
        async advanceSweep(toMs: number) {
          world.sweptToMs = Math.max(world.sweptToMs, toMs);
        },
      },
      events: {
        async list(request: {
          sinceMs: number;
          after: string | undefined;
        }): Promise<StripeEventPage> {
          world.asked.push(request.after);
          const all = told
            .filter(({ createTimeMs }) => createTimeMs >= request.sinceMs)
            .sort((one, other) => other.createTimeMs - one.createTimeMs);
          const index = all.findIndex(({ eventId }) => eventId === request.after) + 1;
          const [event] = all.slice(index);
          if (event === undefined) return { events: [], next: undefined };
          return { events: [event], next: index + 1 < all.length ? event.eventId : undefined };
        },
      },
      onFound(count: number) {
        world.found += count;
      },
    },
  };
}

describe("sweepOnce", () => {
  it("stores what is new since shortly before it came last, and comes as far as Stripe's newest", async () => {
    const { options, world, stored } = worldWith([eventAt(-60), eventAt(5)], ["evt_5"]);
    expect(await sweepOnce(options, times, undefined, signal)).toBeUndefined();
    expect([...stored].sort()).toEqual(["evt_-60", "evt_5"]);
    expect(world).toMatchObject({ found: 1, sweptToMs: startMs + 5_000 });
  });

  it("stays where it is when Stripe has told nothing", async () => {
    const { options, world } = worldWith([eventAt(-500)]);
    await sweepOnce(options, times, undefined, signal);
    expect(world).toMatchObject({ found: 0, sweptToMs: startMs });
  });

  it("does nothing while somebody else has it", async () => {
    const { options, world } = worldWith([eventAt(5)]);
    const store = { ...options.store, claimSweep: async () => undefined };
    await sweepOnce({ ...options, store }, times, undefined, signal);
    expect(world.asked).toEqual([]);
  });

  it("goes on in the next round where the pages of one are too few, and comes forward only then", async () => {
    const told = [1, 2, 3, 4, 5].map(eventAt);
    const { options, world, stored } = worldWith(told);
    const first = await sweepOnce(options, times, undefined, signal);
    expect(first).toMatchObject({ after: "evt_4" });
    expect(world.sweptToMs).toBe(startMs);
    // What is told meanwhile is for the round after.
    told.push(eventAt(6));
    const second = await sweepOnce(options, times, first, signal);
    expect(await sweepOnce(options, times, second, signal)).toBeUndefined();
    expect(world.sweptToMs).toBe(startMs + 5_000);
    expect([...stored].sort()).toEqual(["evt_1", "evt_2", "evt_3", "evt_4", "evt_5"]);
    await sweepOnce(options, { ...times, pagesMax: 9 }, undefined, signal);
    expect([...stored]).toContain("evt_6");
  });

  it("comes no further when what it found could not be stored", async () => {
    const { options, world } = worldWith([eventAt(5)]);
    const store = { ...options.store, insert: () => Promise.reject(new Error("away")) };
    await expect(sweepOnce({ ...options, store }, times, undefined, signal)).rejects.toThrow(
      "away",
    );
    expect(world.sweptToMs).toBe(startMs);
  });
});

describe("startWebhookSweep", () => {
  it("begins anew when it cannot go on after an event that Stripe knows no longer", async () => {
    const { options, world } = worldWith([1, 2, 3, 4, 5].map(eventAt));
    const failures: number[] = [];
    const list = (request: { sinceMs: number; after: string | undefined }) =>
      request.after === "evt_4"
        ? Promise.reject(new Error("no such event"))
        : options.events.list(request);
    const sweep = startWebhookSweep({
      ...options,
      events: { list },
      onError: (_error, count) => failures.push(count),
      times: { ...times, everyMs: 1 },
    });
    await expect.poll(() => failures.length).toBeGreaterThan(times.failuresMax + 1);
    await sweep.stop();
    // A round that goes on claims nothing: the second claim is the one after the last failure.
    expect(failures.slice(0, 4)).toEqual([1, 2, 3, 1]);
    expect(world.claims).toBeGreaterThan(1);
  });
});
