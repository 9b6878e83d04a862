import { hex } from "./evidence.ts";
import { isMissingTable, type Pool, withRecords } from "./pool.ts";

/** What the Attestor bound an intent's id to, and when. */
export interface BoundIntent {
  /** 32 bytes as lower-case `0x` hex. */
  readonly digest: string;
  /** Unix seconds. */
  readonly boundTime: bigint;
}

/**
 * What the Attestor bound ids to. Ids that it did not bind are left out; so are all before its first start, which makes its
 * table. At most 8189 ids. RECORDS_UNAVAILABLE.
 */
export async function readBoundIntents(
  pool: Pool,
  intentIds: readonly string[],
): Promise<ReadonlyMap<string, BoundIntent>> {
  try {
    const { rows } = await withRecords(() =>
      pool.query<{ intent_id: string; digest: Buffer; bound_time: string }>({
        name: "bound-intents",
        text: `select intent_id, digest, floor(extract(epoch from insert_time))::bigint as bound_time
          from attestation_intent where intent_id = any($1::uuid[])`,
        values: [intentIds],
      }),
    );
    return new Map(
      rows.map(({ intent_id, digest, bound_time }) => [
        intent_id,
        { digest: hex(digest), boundTime: BigInt(bound_time) },
      ]),
    );
  } catch (error) {
    if (isMissingTable(error)) return new Map();
    throw error;
  }
}
