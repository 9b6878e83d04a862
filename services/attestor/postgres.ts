import pg from "pg";
import { groupCommit } from "#common/group-commit.ts";
import type { Attestation, AttestedIntent, Intent } from "#common/intent.ts";
import { hex, readEvidence, readEvidenceByDigest, unhex } from "#common/postgres/evidence.ts";
import { type Pool, withRecords } from "#common/postgres/pool.ts";
import { formatWallet } from "#common/wallet.ts";
import type { EvidenceReader, SignedOnce, SignOnceStore } from "./attestation.ts";

/** The migrations of the tables that the Attestor owns. */
export const migrations = new URL("./migrations/", import.meta.url);

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
async function bindAll(pool: Pool, bindings: readonly Binding[]): Promise<string[]> {
  const inserted = await withRecords(() =>
    pool.query<{ intent_id: string; digest: Buffer }>({
      name: "attestation_bind",
      text: `insert into attestation_intent (intent_id, digest)
        select * from unnest($1::uuid[], $2::bytea[]) as item (intent_id, digest) order by 1
        on conflict do nothing returning intent_id, digest`,
      values: [
        bindings.map(({ intentId }) => intentId),
        bindings.map(({ digest }) => unhex(digest)),
      ],
    }),
  );
  const bound = new Map(inserted.rows.map((row) => [row.intent_id, hex(row.digest)]));
  const others = bindings.map(({ intentId }) => intentId).filter((id) => !bound.has(id));
  if (others.length > 0) {
    for (const [index, found] of (await findAll(pool, others)).entries()) {
      if (found !== undefined) bound.set(others[index] ?? "", found.digest);
    }
  }
  return bindings.map(({ intentId }) => required(bound.get(intentId), intentId));
}

/** As bindAll: whose row came first is what everybody answers. */
async function keepAll(pool: Pool, items: readonly Signed[]): Promise<Attestation[]> {
  const inserted = await withRecords(() =>
    pool.query<SignatureRow>({
      name: "attestation_keep",
      text: `insert into attestation_signature (intent_id, signature, signer, wallet_signature)
        select * from unnest($1::uuid[], $2::bytea[], $3::bytea[], $4::bytea[])
          as item (intent_id, signature, signer, wallet_signature) order by 1
        on conflict do nothing returning intent_id, signature, signer, wallet_signature`,
      values: [
        items.map(({ intentId }) => intentId),
        items.map(({ attestation }) => unhex(attestation.signature)),
        items.map(({ attestation }) => unhex(attestation.signer)),
        items.map(({ attestation: { walletSignature } }) =>
          walletSignature === "" ? null : unhex(walletSignature),
        ),
      ],
    }),
  );
  const kept = new Map(inserted.rows.map((row) => [row.intent_id, parseSignatures(row)]));
  const others = items.map(({ intentId }) => intentId).filter((id) => !kept.has(id));
  if (others.length > 0) {
    for (const [index, found] of (await findAll(pool, others)).entries()) {
      if (found?.attestation !== undefined) kept.set(others[index] ?? "", found.attestation);
    }
  }
  // The digest is the id's for ever, so all items of an id carry the same.
  return items.map(({ intentId, attestation: { digest } }) => ({
    digest,
    ...required(kept.get(intentId), intentId),
  }));
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
export function createEvidenceReader(pool: Pool): EvidenceReader {
  const byIntentId = groupCommit({
    ...group,
    run: async (intentIds: readonly string[]) => {
      const found = await ifThere(() => readEvidence(pool, intentIds));
      return intentIds.map((id) => found?.get(id));
    },
  });
  return {
    byIntentId: async (intentId) => intentOf(await byIntentId(intentId)),
    byDigest: async (digest) => intentOf(await ifThere(() => readEvidenceByDigest(pool, digest))),
  };
}

function intentOf(evidence: AttestedIntent | undefined): Intent | undefined {
  return evidence?.intent;
}

const undefinedTable = "42P01";

/** Clearing makes its table at its first start. Before that nothing was cleared, and the answer is that there is none. */
async function ifThere<Found>(read: () => Promise<Found>): Promise<Found | undefined> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof pg.DatabaseError && error.code === undefinedTable) return undefined;
    throw error;
  }
}
