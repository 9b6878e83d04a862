/** The value below which a share of sorted samples lies; NaN of none. */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

/** What a line tells of sorted latencies, in milliseconds. */
export function quantiles(sorted: readonly number[]) {
  const at = (share: number) => quantile(sorted, share);
  return { p50Ms: at(0.5), p99Ms: at(0.99), p999Ms: at(0.999) };
}
