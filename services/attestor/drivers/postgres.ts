import { formatWallet } from "#common/address.ts";
import { groupCommit } from "#common/group-commit.ts";
import type { Attestation } from "#common/intent/intent.ts";
import { arrayLiteral, byteaCell } from "#common/postgres/array-literal.ts";
import { readBoundIntents } from "#common/postgres/bound-intents.ts";
import { hex, readEvidence, readEvidenceByDigest } from "#common/postgres/evidence.ts";
import { isMissingTable, type Pool, withRecords } from "#common/postgres/pool.ts";
import type { RelatedEvidence, SignedOnce, SignOnceStore } from "../attestation.ts";

/** The migrations of the tables that the Attestor owns. */
export const migrations = new URL("../migrations/", import.meta.url);

/** The most calls that share a statement, the most statements of a kind at once, and the most calls that wait. */
const group = { weightMax: 500, runningMax: 2, waitingMax: 10_000 };

/** Sign once, in PostgreSQL. Concurrent calls share statements and commits. */
export function createSignOnceStore(pool: Pool): SignOnceStore {
  const find = groupCommit({ ...group, run: (ids: readonly string[]) => findAll(pool, ids) });
  const bind = groupCommit({ ...group, run: (items: readonly Binding[]) => bindAll(pool, items) });
  const keep = groupCommit({ ...group, run: (items: readonly Signed[]) => keepAll(pool, items) });
  return {
    find,
    bind: (intentId, digest) => bind({ intentId, digest }),
    keep: (intentId, attestation) => keep({ intentId, attestation }),
    async boundTime(intentId, digest) {
      const bound = (await readBoundIntents(pool, [intentId])).get(intentId);
      return bound?.digest === digest ? bound.boundTime : undefined;
    },
  };
}

interface Binding {
  readonly intentId: string;
  readonly digest: string;
}

interface Signed {
  readonly intentId: string;
  readonly attestation: Attestation;
}

interface SignatureRow {
  readonly intent_id: string;
  readonly signature: Buffer;
  readonly signer: Buffer;
  readonly wallet_signature: Buffer | null;
}

/** A binding with its signatures; a binding that has none yet has null in all of their columns. */
type FoundRow = { readonly digest: Buffer } & (
  | SignatureRow
  | { readonly intent_id: string; readonly signature: null }
);

type Signatures = Omit<Attestation, "digest">;

async function findAll(
  pool: Pool,
  intentIds: readonly string[],
): Promise<(SignedOnce | undefined)[]> {
  const { rows } = await withRecords(() =>
    pool.query<FoundRow>({
      name: "attestation_find",
      text: `select intent_id, digest, signature, signer, wallet_signature
        from attestation_intent left join attestation_signature using (intent_id)
        where intent_id = any($1::uuid[])`,
      values: [intentIds],
    }),
  );
  const found = new Map<string, SignedOnce>(
    rows.map((row) => [
      row.intent_id,
      {
        digest: hex(row.digest),
        attestation:
          row.signature === null ? undefined : { digest: hex(row.digest), ...parseSignatures(row) },
      },
    ]),
  );
  return intentIds.map((id) => found.get(id));
}

/**
 * One statement is one transaction: when it returns, the bindings are durable. Ids that it does not return were
 * bound before, or in another transaction that it waited for; a second statement sees what they are bound to.
 * The order keeps two replicas that bind the same ids from waiting for each other.
 */
async function bindAll(
  pool: Pool,
  bindings: readonly Binding[],
): Promise<(SignedOnce & { isNew: boolean })[]> {
  const firsts = firstOfEach(bindings);
  const inserted = await withRecords(() =>
    pool.query<{ intent_id: string }>({
      name: "attestation_bind",
      text: `insert into attestation_intent (intent_id, digest)
        select * from unnest($1::uuid[], $2::bytea[]) as item (intent_id, digest) order by 1
        on conflict do nothing returning intent_id`,
      values: [
        arrayLiteral(firsts, ({ intentId }) => intentId),
        arrayLiteral(firsts, ({ digest }) => byteaCell(digest)),
      ],
    }),
  );
  const isNew = new Set(inserted.rows.map((row) => row.intent_id));
  const others = firsts.map(({ intentId }) => intentId).filter((id) => !isNew.has(id));
  const found = await findById(pool, others);
  const digests = new Map(firsts.map(({ intentId, digest }) => [intentId, digest]));
  return bindings.map(({ intentId, digest }) => {
    const bound = isNew.has(intentId) ? digests.get(intentId) : undefined;
    if (bound === undefined) return { ...required(found.get(intentId), intentId), isNew: false };
    return { digest: bound, attestation: undefined, isNew: bound === digest };
  });
}

/** As bindAll: whose row came first is what everybody answers. */
async function keepAll(pool: Pool, items: readonly Signed[]): Promise<Attestation[]> {
  const firsts = firstOfEach(items);
  const inserted = await withRecords(() =>
    pool.query<{ intent_id: string }>({
      name: "attestation_keep",
      text: `insert into attestation_signature (intent_id, signature, signer, wallet_signature)
        select * from unnest($1::uuid[], $2::bytea[], $3::bytea[], $4::bytea[])
          as item (intent_id, signature, signer, wallet_signature) order by 1
        on conflict do nothing returning intent_id`,
      values: [
        arrayLiteral(firsts, ({ intentId }) => intentId),
        arrayLiteral(firsts, ({ attestation }) => byteaCell(attestation.signature)),
        arrayLiteral(firsts, ({ attestation }) => byteaCell(attestation.signer)),
        arrayLiteral(firsts, ({ attestation: { walletSignature } }) =>
          walletSignature === "" ? "null" : byteaCell(walletSignature),
        ),
      ],
    }),
  );
  const isNew = new Set(inserted.rows.map((row) => row.intent_id));
  const others = firsts.map(({ intentId }) => intentId).filter((id) => !isNew.has(id));
  const found = await findById(pool, others);
  const kept = new Map(
    firsts.map(({ intentId, attestation }) => [
      intentId,
      isNew.has(intentId) ? attestation : found.get(intentId)?.attestation,
    ]),
  );
  return items.map(({ intentId }) => required(kept.get(intentId), intentId));
}

/** Calls that share a statement may be about one intent; the first of them goes into it. */
function firstOfEach<Item extends { readonly intentId: string }>(items: readonly Item[]): Item[] {
  const firsts = new Map<string, Item>();
  for (const item of items) if (!firsts.has(item.intentId)) firsts.set(item.intentId, item);
  return [...firsts.values()];
}

async function findById(
  pool: Pool,
  intentIds: readonly string[],
): Promise<ReadonlyMap<string, SignedOnce>> {
  if (intentIds.length === 0) return new Map();
  const found = await findAll(pool, intentIds);
  return new Map(found.flatMap((item, index) => (item ? [[intentIds[index] ?? "", item]] : [])));
}

function required<Value>(value: Value | undefined, intentId: string): Value {
  if (value !== undefined) return value;
  throw new Error(`intent ${intentId} is neither new nor stored`);
}

function parseSignatures(row: SignatureRow): Signatures {
  return {
    signature: hex(row.signature),
    signer: formatWallet(row.signer),
    walletSignature: row.wallet_signature === null ? "" : hex(row.wallet_signature),
  };
}

/** The evidence that Clearing keeps, read only. Concurrent calls share statements. */
export function createRelatedEvidence(pool: Pool): RelatedEvidence {
  const byIntentId = groupCommit({
    ...group,
    run: async (intentIds: readonly string[]) => {
      const found = await ifThere(() => readEvidence(pool, intentIds));
      return intentIds.map((id) => found?.get(id));
    },
  });
  return {
    byIntentId,
    byDigest: (digest) => ifThere(() => readEvidenceByDigest(pool, digest)),
  };
}

/** Clearing makes its table at its first start. Before that nothing was cleared, and the answer is that there is none. */
async function ifThere<Found>(read: () => Promise<Found>): Promise<Found | undefined> {
  try {
    return await read();
  } catch (error) {
    if (isMissingTable(error)) return undefined;
    throw error;
  }
}
