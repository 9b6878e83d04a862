import { createRandom } from "../intents/random-history.ts";

/** What happens next, and when. */
export interface Planned<What> {
  readonly what: What;
  /** How long all is well before it. */
  readonly pauseMs: number;
  /** How long it lasts, if it does not pass by itself. */
  readonly lengthMs: number;
}

const pauseMsMin = 200;
const pauseMsMax = 3_000;
const lengthMsMin = 200;
const lengthMsMax = 4_000;

/** Each of some things once in a random order, and then as it comes, without an end. A seed always gives the same plan. */
export function* planFaults<What>(seed: number, things: readonly What[]): Generator<Planned<What>> {
  const random = createRandom(seed);
  const between = (min: number, max: number) => Math.round(min + (max - min) * random());
  const shuffled = things
    .map((what) => ({ what, rank: random() }))
    .toSorted((a, b) => a.rank - b.rank)
    .map(({ what }) => what);
  for (let count = 0; things.length > 0; count += 1) {
    const what = shuffled[count] ?? things[Math.floor(random() * things.length)];
    if (what === undefined) return;
    const pauseMs = between(pauseMsMin, pauseMsMax);
    yield { what, pauseMs, lengthMs: between(lengthMsMin, lengthMsMax) };
  }
}
