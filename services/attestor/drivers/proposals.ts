import { fromJson, toJson } from "@bufbuild/protobuf";
import { formatWallet, walletBytes } from "#common/address.ts";
import { DomainError } from "#common/domain-error.ts";
import { formatIntent, parseIntent } from "#common/intent/codec.ts";
import { approvalsOf, packApprovals, unpackApprovals } from "#common/postgres/approvals.ts";
import { hex, unhex } from "#common/postgres/evidence.ts";
import { inTransaction } from "#common/postgres/in-transaction.ts";
import { type Pool, type PoolClient, withRecords } from "#common/postgres/pool.ts";
import { treeOf } from "#common/postgres/trees.ts";
import { ClearingIntentSchema } from "#gen/sovr/attestor/v1/intent_pb.ts";
import {
  type NewProposal,
  type Proposal,
  type ProposalFilter,
  type ProposalStep,
  type ProposalStore,
  proposalNotFound,
  type StoredState,
} from "../proposal.ts";

/** The most proposals that wait for their approvers. */
export const openProposalsMax = 1_000;
/** Any number, the same in every process: proposals are counted one after the other. */
const openLock = 7_107_113;

/** Proposals in PostgreSQL. People make them and decide on them, so each call has statements of its own. */
export function createProposalStore(pool: Pool): ProposalStore {
  return {
    propose: (proposal, nowSeconds) =>
      inTransaction(pool, (client) => propose(client, proposal, nowSeconds)),
    async find(intentId) {
      const [found] = await withRecords(() => select(pool, "p.intent_id = $1::uuid", [intentId]));
      return found;
    },
    list: (filter) => withRecords(() => list(pool, filter)),
    change: (intentId, next) =>
      inTransaction(pool, async (client) => {
        // Whoever comes at the same time waits here, and then sees what was done.
        const { rowCount } = await client.query(
          "select from attestation_proposal where intent_id = $1::uuid for update",
          [intentId],
        );
        if (rowCount === 0) throw proposalNotFound(intentId);
        const proposal = await required(client, intentId);
        const step = next(proposal);
        if (step === undefined) return proposal;
        await take(client, intentId, step);
        return required(client, intentId);
      }),
    unsigned: (nowSeconds, limit) =>
      withRecords(() =>
        select(
          pool,
          "p.state = 'APPROVED' and p.expire_time > $1::bigint and s.signature is null",
          [nowSeconds.toString()],
          limit,
        ),
      ),
  };
}

async function propose(
  client: PoolClient,
  proposal: NewProposal,
  nowSeconds: bigint,
): Promise<Proposal | { readonly boundTo: string }> {
  const { intent, digest, walletSignature, proposer, signer } = proposal;
  const { intentId, expireTime } = intent;
  await client.query("select pg_advisory_xact_lock($1)", [openLock]);
  const { rowCount } = await client.query(
    `insert into attestation_intent (intent_id, digest) values ($1::uuid, $2)
     on conflict do nothing`,
    [intentId, unhex(digest)],
  );
  if (rowCount === 0) {
    const [known] = await select(client, "p.intent_id = $1::uuid", [intentId]);
    return known ?? { boundTo: await boundTo(client, intentId) };
  }
  await refuseTooMany(client, nowSeconds);
  await client.query(
    `insert into attestation_proposal (intent_id, intent, wallet_signature, proposer, signer, expire_time)
     values ($1::uuid, $2, $3, $4, $5, $6::bigint)`,
    [
      intentId,
      JSON.stringify(toJson(ClearingIntentSchema, formatIntent(intent))),
      walletSignature === "" ? null : unhex(walletSignature),
      proposer,
      walletBytes(signer),
      expireTime.toString(),
    ],
  );
  return required(client, intentId);
}

async function boundTo(client: PoolClient, intentId: string): Promise<string> {
  const { rows } = await client.query<{ digest: Buffer }>(
    "select digest from attestation_intent where intent_id = $1::uuid",
    [intentId],
  );
  if (rows[0] === undefined) throw new Error(`intent ${intentId} is neither new nor bound`);
  return hex(rows[0].digest);
}

async function refuseTooMany(client: PoolClient, nowSeconds: bigint): Promise<void> {
  const { rows } = await client.query<{ open: number }>(
    `select count(*)::integer as open from attestation_proposal
     where state = 'OPEN' and expire_time > $1::bigint`,
    [nowSeconds.toString()],
  );
  if ((rows[0]?.open ?? 0) < openProposalsMax) return;
  throw new DomainError(
    "LIMIT_EXCEEDED",
    `at most ${openProposalsMax} proposals may be open at once`,
    {
      metadata: { limit: String(openProposalsMax), what: "open proposals" },
      retryAfterMs: 60_000,
    },
  );
}

async function take(client: PoolClient, intentId: string, step: ProposalStep): Promise<void> {
  const { decision, close } = step;
  if (decision !== undefined) {
    await client.query(
      `insert into attestation_decision (intent_id, approver, approval) values ($1::uuid, $2, $3)
       on conflict (intent_id, approver) do update
       set approval = excluded.approval, insert_time = excluded.insert_time`,
      [intentId, walletBytes(decision.approver), unhex(packApprovals([decision]))],
    );
  }
  if (close === undefined) return;
  const counted = packApprovals(close.counted);
  await client.query(
    `update attestation_proposal set state = $2, approvals = $3, close_time = now()
     where intent_id = $1::uuid`,
    [intentId, close.state, counted === "" ? null : unhex(counted)],
  );
}

async function list(pool: Pool, filter: ProposalFilter): Promise<Proposal[]> {
  const { state, before, limit, nowSeconds } = filter;
  const conditions = ["($1::bigint is null or p.number < $1::bigint)"];
  const values = [before?.toString() ?? null];
  if (state === "OPEN" || state === "EXPIRED") {
    conditions.push(
      `p.state = 'OPEN' and p.expire_time ${state === "OPEN" ? ">" : "<="} $2::bigint`,
    );
    values.push(nowSeconds.toString());
  } else if (state !== undefined) {
    conditions.push("p.state = $2");
    values.push(state);
  }
  return select(pool, conditions.join(" and "), values, limit);
}

interface ProposalRow {
  readonly intent: Parameters<typeof fromJson>[1];
  readonly digest: Buffer;
  readonly number: string;
  readonly wallet_signature: Buffer | null;
  readonly proposer: string;
  readonly signer: Buffer;
  readonly state: StoredState;
  readonly counted: Buffer | null;
  readonly insert_time: Date;
  readonly close_time: Date | null;
  readonly decisions: Buffer | null;
  readonly signature: Buffer | null;
  readonly signed_by: Buffer | null;
  readonly signed_approvals: Buffer | null;
  readonly signed_tree: Buffer | null;
}

/** Proposals that meet a condition on `p`, the proposal, and `s`, its signature; the newest first. */
async function select(
  client: Pick<PoolClient, "query">,
  condition: string,
  values: readonly unknown[],
  limit = 1,
): Promise<Proposal[]> {
  const { rows } = await client.query<ProposalRow>(
    `select p.intent, i.digest, p.number, p.wallet_signature, p.proposer, p.signer, p.state,
       p.approvals as counted, p.insert_time, p.close_time, s.signature, s.signer as signed_by,
       s.approvals as signed_approvals, s.tree as signed_tree,
       (select string_agg(d.approval, ''::bytea order by d.insert_time, d.approver)
        from attestation_decision d where d.intent_id = p.intent_id) as decisions
     from attestation_proposal p join attestation_intent i using (intent_id)
       left join attestation_signature s using (intent_id)
     where ${condition} order by p.number desc limit ${limit}`,
    [...values],
  );
  return rows.map(parseProposal);
}

async function required(client: PoolClient, intentId: string): Promise<Proposal> {
  const [proposal] = await select(client, "p.intent_id = $1::uuid", [intentId]);
  if (proposal === undefined) throw proposalNotFound(intentId);
  return proposal;
}

function parseProposal(row: ProposalRow): Proposal {
  const digest = hex(row.digest);
  const walletSignature = row.wallet_signature === null ? "" : hex(row.wallet_signature);
  return {
    number: BigInt(row.number),
    intent: parseIntent(fromJson(ClearingIntentSchema, row.intent)),
    digest,
    walletSignature,
    proposer: row.proposer,
    signer: formatWallet(row.signer),
    state: row.state,
    decisions: row.decisions === null ? [] : unpackApprovals(row.decisions),
    counted: row.counted === null ? [] : unpackApprovals(row.counted),
    createTimeMs: row.insert_time.getTime(),
    closeTimeMs: row.close_time?.getTime(),
    attestation:
      row.signature === null || row.signed_by === null
        ? undefined
        : {
            digest,
            signature: hex(row.signature),
            signer: formatWallet(row.signed_by),
            walletSignature,
            ...approvalsOf(row.signed_approvals),
            ...treeOf(row.signed_tree),
          },
  };
}
