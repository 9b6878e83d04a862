/** What goes wrong on command. All at their defaults, the simulator is as good as Stripe on a good day. */
export interface FaultSettings {
  /** Further copies of every event. */
  duplicates: number;
  /** Each copy waits a random time up to this: what comes within it arrives in any order. */
  shuffle_ms: number;
  /** Copies wait this long; `delay_rate` of them do. */
  delay_ms: number;
  delay_rate: number;
  /** The share of copies that are never sent. */
  drop_rate: number;
  /** The share of events that are joined by a forged one. */
  forge_rate: number;
  /** Answers wait until what they caused was delivered once, for at most five seconds. */
  early: boolean;
  paused: boolean;
  /** Answers of the API wait this long. */
  latency_ms: number;
  /** Confirmed payments stay in `processing` this long; 0 is not at all. */
  processing_ms: number;
  /** What becomes of new refunds; `card` leaves it to the card. */
  refunds: "card" | "pending" | "pending_then_fail" | "fail";
}

export const noFaults: Readonly<FaultSettings> = Object.freeze({
  duplicates: 0,
  shuffle_ms: 0,
  delay_ms: 0,
  delay_rate: 1,
  drop_rate: 0,
  forge_rate: 0,
  early: false,
  paused: false,
  latency_ms: 0,
  processing_ms: 0,
  refunds: "card",
});

export type ApiFaultKind = "error_500" | "cut_before" | "cut_after";

/** What happens to the next calls of the API. `cut_before` and `error_500` leave no effect; `cut_after` hides one. */
export interface ApiFault {
  readonly kind: ApiFaultKind;
  /** Calls that are hit before it is over. */
  times: number;
  /** The share of calls that are hit. */
  readonly rate: number;
  /** Hit are only calls of this method and of paths that begin so; empty: any. */
  readonly method: string;
  readonly path: string;
}

/** How a delivery is falsified: signed by nobody's secret, or long ago. */
export type Forgery = "wrong_secret" | "old_timestamp";

export interface PlannedDelivery {
  readonly delayMs: number;
  readonly forgery: Forgery | "";
}

export type Faults = ReturnType<typeof createFaults>;

/** The faults of one simulator. The same seed makes the same decisions in the same order. */
export function createFaults(seed: number) {
  const settings: FaultSettings = { ...noFaults };
  const apiFaults: ApiFault[] = [];
  let random = createRandom(seed);

  return {
    settings: settings as Readonly<FaultSettings>,
    apiFaults: apiFaults as readonly Readonly<ApiFault>[],

    change(changes: Partial<FaultSettings>): void {
      Object.assign(settings, changes);
    },
    reseed(newSeed: number): void {
      random = createRandom(newSeed);
    },
    clear(): void {
      Object.assign(settings, noFaults);
      apiFaults.length = 0;
    },
    addApiFault(fault: ApiFault): void {
      apiFaults.push({ ...fault });
    },

    /** What hits this call, if anything; counts it. */
    takeApiFault(method: string, path: string): ApiFaultKind | undefined {
      const fault = apiFaults.find(
        (candidate) =>
          (candidate.method === "" || candidate.method === method) &&
          path.startsWith(candidate.path) &&
          random() < candidate.rate,
      );
      if (fault === undefined) return undefined;
      fault.times -= 1;
      if (fault.times <= 0) apiFaults.splice(apiFaults.indexOf(fault), 1);
      return fault.kind;
    },

    /** The copies of one event to one endpoint. */
    planDeliveries(): PlannedDelivery[] {
      const plan: PlannedDelivery[] = [];
      for (let copy = 0; copy <= settings.duplicates; copy += 1) {
        const delayMs = Math.floor(
          random() * settings.shuffle_ms + (random() < settings.delay_rate ? settings.delay_ms : 0),
        );
        if (random() >= settings.drop_rate) plan.push({ delayMs, forgery: "" });
      }
      if (random() < settings.forge_rate) {
        const forgery = random() < 0.5 ? "wrong_secret" : "old_timestamp";
        plan.push({ delayMs: Math.floor(random() * settings.shuffle_ms), forgery });
      }
      return plan;
    },
  };
}

/** Numbers from 0 up to 1 (mulberry32): small, quick, and good enough to shuffle by. */
function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
