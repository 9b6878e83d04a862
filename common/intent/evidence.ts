import type { AttestedIntent } from "./intent.ts";

/**
 * The evidence that Clearing keeps, as all others read it; each takes the reads that it needs. All throw
 * RECORDS_UNAVAILABLE.
 */
export interface EvidenceReader {
  /** The evidence of an intent, or undefined. */
  byIntentId(intentId: string): Promise<AttestedIntent | undefined>;
  /** The evidence of a digest, 32 bytes as `0x` hex, or undefined. */
  byDigest(digest: string): Promise<AttestedIntent | undefined>;
  /** The evidence of rows by their digest prefix, 24 bytes as `0x` hex; unknown ones are left out. */
  byPrefixes(prefixes: readonly string[]): Promise<ReadonlyMap<string, AttestedIntent>>;
}
