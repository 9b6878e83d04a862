import { formatWallet } from "#common/address.ts";
import { dayIsSpent, type Spend } from "#common/approval/judge.ts";
import { groupCommit } from "#common/group-commit.ts";
import type { Attestation } from "#common/intent/intent.ts";
import { approvalsOf, packApprovals } from "#common/postgres/approvals.ts";
import { arrayLiteral, byteaCell } from "#common/postgres/array-literal.ts";
import { readBoundIntents } from "#common/postgres/bound-intents.ts";
import { findBeyond, insertCounted } from "#common/postgres/day-sums.ts";
import { hex, readEvidence, readEvidenceByDigest } from "#common/postgres/evidence.ts";
import { isMissingTable, type Pool, withRecords } from "#common/postgres/pool.ts";
import { packTree, treeOf } from "#common/postgres/trees.ts";
import type { SignedOnce, SignOnceStore } from "../attestation.ts";
import type { RelatedEvidence } from "../verdict.ts";

/** The migrations of the tables that the Attestor owns. */
export const migrations = new URL("../migrations/", import.meta.url);

/** The most calls that share a statement, the most statements of a kind at once, and the most calls that wait. */
const group = { weightMax: 500, runningMax: 2, waitingMax: 10_000 };

/** Sign once, in PostgreSQL. Concurrent calls share statements and commits. */
export function createSignOnceStore(pool: Pool): SignOnceStore {
  const find = groupCommit({ ...group, run: (ids: readonly string[]) => findAll(pool, ids) });
  const bind = groupCommit({ ...group, run: (items: readonly Binding[]) => bindAll(pool, items) });
  // One at a time: they wait for the same locks.
  const bindCounted = groupCommit({
    ...group,
    runningMax: 1,
    run: (items: readonly CountedBinding[]) => bindAllCounted(pool, items),
  });
  const keep = groupCommit({ ...group, run: (items: readonly Signed[]) => keepAll(pool, items) });
  return {
    find,
    async bind(intentId, digest, spends = []) {
      if (spends.length === 0) return bind({ intentId, digest });
      const bound = await bindCounted({ intentId, digest, spends });
      if ("below" in bound) throw dayIsSpent(bound);
      return bound;
    },
    async checkDay(spends) {
      const beyond = await findBeyond(pool, daySums, spends);
      if (beyond !== undefined) throw dayIsSpent(beyond);
    },
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

/** A binding that takes something of what passes in a day without approval. */
interface CountedBinding extends Binding {
  readonly spends: readonly Spend[];
}

const daySums = "attestation_day_sum";

interface Signed {
  readonly intentId: string;
  readonly attestation: Attestation;
}

interface SignatureRow {
  readonly intent_id: string;
  readonly signature: Buffer;
  readonly signer: Buffer;
  readonly wallet_signature: Buffer | null;
  readonly approvals: Buffer | null;
  readonly tree: Buffer | null;
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
      text: `select intent_id, digest, signature, signer, wallet_signature, approvals, tree
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
  const isNew = await withRecords(() => insertBindings(pool, firsts));
  return boundOf(pool, bindings, firsts, isNew);
}

/** As bindAll, of what the day has room for; of the rest, the sum that has none. */
async function bindAllCounted(
  pool: Pool,
  bindings: readonly CountedBinding[],
): Promise<((SignedOnce & { isNew: boolean }) | Spend)[]> {
  const firsts = firstOfEach(bindings);
  let isNew: ReadonlySet<string> = new Set();
  const refused = await insertCounted(pool, daySums, firsts, {
    known: async (client, intentIds) => {
      const { rows } = await client.query<{ intent_id: string }>(
        "select intent_id from attestation_intent where intent_id = any($1::uuid[])",
        [intentIds],
      );
      return new Set(rows.map((row) => row.intent_id));
    },
    insert: async (client, fitting) => {
      isNew = await insertBindings(client, fitting);
      return isNew;
    },
  });
  const admitted = bindings.filter(({ intentId }) => !refused.has(intentId));
  const bound = await boundOf(pool, admitted, firsts, isNew);
  const byBinding = new Map(admitted.map((binding, index) => [binding, bound[index]]));
  return bindings.map((binding) => {
    const outcome = byBinding.get(binding) ?? refused.get(binding.intentId);
    return required(outcome, binding.intentId);
  });
}

/** Inserts bindings whose ids are not bound; returns the ids that were not. */
async function insertBindings(
  client: Pick<Pool, "query">,
  firsts: readonly Binding[],
): Promise<ReadonlySet<string>> {
  const { rows } = await client.query<{ intent_id: string }>({
    name: "attestation_bind",
    text: `insert into attestation_intent (intent_id, digest)
      select * from unnest($1::uuid[], $2::bytea[]) as item (intent_id, digest) order by 1
      on conflict do nothing returning intent_id`,
    values: [
      arrayLiteral(firsts, ({ intentId }) => intentId),
      arrayLiteral(firsts, ({ digest }) => byteaCell(digest)),
    ],
  });
  return new Set(rows.map((row) => row.intent_id));
}

/** What the ids of bindings stand for, of which `isNew` were bound just now. */
async function boundOf(
  pool: Pool,
  bindings: readonly Binding[],
  firsts: readonly Binding[],
  isNew: ReadonlySet<string>,
): Promise<(SignedOnce & { isNew: boolean })[]> {
  const others = [...new Set(bindings.map(({ intentId }) => intentId))].filter(
    (id) => !isNew.has(id),
  );
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
      text: `insert into attestation_signature (intent_id, signature, signer, wallet_signature, approvals, tree)
        select * from unnest($1::uuid[], $2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[], $6::bytea[])
          as item (intent_id, signature, signer, wallet_signature, approvals, tree) order by 1
        on conflict do nothing returning intent_id`,
      values: [
        arrayLiteral(firsts, ({ intentId }) => intentId),
        arrayLiteral(firsts, ({ attestation }) => byteaCell(attestation.signature)),
        arrayLiteral(firsts, ({ attestation }) => byteaCell(attestation.signer)),
        arrayLiteral(firsts, ({ attestation: { walletSignature } }) =>
          walletSignature === "" ? "null" : byteaCell(walletSignature),
        ),
        arrayLiteral(firsts, ({ attestation: { approvals } }) => {
          const packed = packApprovals(approvals);
          return packed === "" ? "null" : byteaCell(packed);
        }),
        arrayLiteral(firsts, ({ attestation: { tree } }) =>
          tree === undefined ? "null" : byteaCell(packTree(tree)),
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
    ...approvalsOf(row.approvals),
    ...treeOf(row.tree),
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
