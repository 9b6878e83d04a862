/** Something outside that a service cannot work without. */
export interface Dependency {
  /** Such as "tigerbeetle"; part of logs, metrics and `/readyz`. */
  readonly name: string;
  /** When a call to it last succeeded, in epoch milliseconds; 0 for never. */
  lastSuccessMs(): number;
  /** Makes a cheap call. Rejects if it fails; gives up when the signal fires. */
  probe(signal: AbortSignal): Promise<void>;
}
