/** What a series of samples says of growth. */
export interface Growth {
  /** Medians of the second, third and last quarter of the samples; the first is left to warm up. */
  readonly medians: readonly [number, number, number];
  /** Whether it grows on and on: clearly, in every step, and in the last as fast as in the one before. */
  readonly isUnbounded: boolean;
}

export interface GrowthLimit {
  /** What is no growth yet: caches that fill, a pool that opens. In the unit of the samples. */
  readonly floor: number;
  /** As a part of the first median. */
  readonly share: number;
}

/** Fewer samples tell nothing. */
const samplesMin = 40;

/**
 * Judges samples that were taken at even distances. Medians of quarters, for a single sample may be anything; and a leak
 * goes on, while a cache that fills grows less and less. Undefined if there are too few.
 */
export function growthOf(samples: readonly number[], limit: GrowthLimit): Growth | undefined {
  if (samples.length < samplesMin) return undefined;
  const quarter = samples.length / 4;
  const of = (index: number) =>
    median(samples.slice(Math.floor(index * quarter), Math.floor((index + 1) * quarter)));
  const medians = [of(1), of(2), of(3)] as const;
  const [first, second, last] = medians;
  const isMuch = last - first > limit.floor + limit.share * first;
  const goesOn = second > first && last - second >= (second - first) / 2;
  return { medians, isUnbounded: isMuch && goesOn };
}

/** The middle value; 0 of none. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
