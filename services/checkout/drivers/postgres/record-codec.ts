import { formatWallet } from "#common/address.ts";
import type { Attestation, Intent, Phase } from "#common/intent/intent.ts";
import { treeOf } from "#common/postgres/trees.ts";
import type {
  Attempt,
  CheckoutRecord,
  CheckoutState,
  Entry,
  EntryKind,
  EntryState,
  Item,
  Order,
  PaymentMethod,
  Portion,
  Transition,
} from "../../order/record.ts";

/** A checkout with all that belongs to it, as `selectRecord` reads it in one statement and so at one instant. */
export interface RecordRow {
  readonly intent_id: string;
  readonly merchant_id: string;
  readonly order_id: string;
  readonly wallet: Buffer;
  readonly merchants_own: boolean;
  readonly payment_method: PaymentMethod;
  readonly items: readonly Item[];
  readonly amount: string;
  readonly ledger: number;
  readonly create_time: Date;
  readonly expire_time: Date;
  readonly state: CheckoutState;
  readonly payment_intent_id: string | null;
  readonly wallet_signature: Buffer | null;
  readonly failure_reason: string;
  readonly decline_code: string;
  readonly return_owed: boolean;
  readonly returned_refund_id: string | null;
  readonly revision: string;
  readonly transitions: readonly TransitionJson[];
  readonly entries: readonly EntryJson[];
}

interface TransitionJson {
  readonly from: CheckoutState | null;
  readonly to: CheckoutState;
  readonly cause: string;
  readonly timeMs: number;
}

interface EntryJson {
  readonly entryId: string;
  readonly kind: EntryKind;
  readonly state: EntryState;
  readonly portions: readonly PortionJson[];
  readonly items: readonly Item[];
  readonly stripeRefundId: string | null;
  readonly external: boolean;
  readonly correctsEntryId: string | null;
  readonly createTimeMs: number;
  readonly attempts: readonly AttemptJson[];
}

interface AttemptJson {
  readonly intent: IntentJson;
  readonly digest: string | null;
  readonly signature: string | null;
  readonly signer: string | null;
  readonly walletSignature: string | null;
  readonly tree: string | null;
  readonly state: Attempt["state"];
  readonly createTimeMs: number;
  readonly commitTimestamp: string | null;
}

type PortionJson = Omit<Portion, "accountId" | "amount"> & {
  readonly accountId: string;
  readonly amount: string;
};

/** An intent in a jsonb column: as the domain has it, whole numbers beyond a double's as decimal strings. */
interface IntentJson {
  readonly intentId: string;
  readonly phase: Phase;
  readonly wallet: string;
  readonly merchantId: string;
  readonly reference: string;
  readonly postings: readonly {
    readonly debitAccountId: string;
    readonly creditAccountId: string;
    readonly amount: string;
    readonly ledger: number;
    readonly code: number;
  }[];
  readonly corrects: string;
  readonly pendingIntentId: string;
  readonly timeoutSeconds: number;
  readonly issueTime: string;
  readonly expireTime: string;
}

const epochMs = (column: string) => `floor(extract(epoch from ${column}) * 1000)::bigint`;
const hex = (column: string) => `encode(${column}, 'hex')`;

/** Reads whole checkouts; a `where` on `o` follows. At most the newest hundred transitions. */
export const selectRecord = `
  select o.*,
    (select coalesce(jsonb_agg(jsonb_build_object('from', t.from_state, 'to', t.to_state, 'cause', t.cause,
        'timeMs', ${epochMs("t.transition_time")}) order by t.revision, t.step), '[]')
      from (select * from checkout_transition where intent_id = o.intent_id
        order by revision desc, step desc limit 100) t) as transitions,
    (select coalesce(jsonb_agg(jsonb_build_object('entryId', e.entry_id, 'kind', e.kind, 'state', e.state,
        'portions', e.portions, 'items', e.items, 'stripeRefundId', e.stripe_refund_id, 'external', e.external,
        'correctsEntryId', e.corrects_entry_id, 'createTimeMs', ${epochMs("e.create_time")}, 'attempts',
        (select jsonb_agg(jsonb_build_object('intent', a.intent, 'digest', ${hex("a.digest")},
            'signature', ${hex("a.signature")}, 'signer', ${hex("a.signer")},
            'walletSignature', ${hex("a.wallet_signature")}, 'tree', ${hex("a.tree")}, 'state', a.state,
            'createTimeMs', ${epochMs("a.create_time")}, 'commitTimestamp', a.commit_timestamp::text)
            order by a.number)
          from checkout_attempt a where a.entry_id = e.entry_id)) order by e.number), '[]')
      from checkout_entry e where e.checkout_id = o.intent_id) as entries
  from checkout_order o`;

/** A statement that each connection plans once: to plan these costs more than to run them. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

export const selectById: Statement = {
  name: "checkout-by-id",
  text: `${selectRecord} where o.intent_id = $1`,
};
const ofOrder = "o.merchant_id = $1 and o.order_id = $2";
export const selectByWallet: Statement = {
  name: "checkout-by-wallet",
  text: `${selectRecord} where ${ofOrder} and not o.merchants_own and o.wallet = $3`,
};
export const selectMerchantsOwn: Statement = {
  name: "checkout-merchants-own",
  text: `${selectRecord} where ${ofOrder} and o.merchants_own`,
};
export const selectTwoByOrder: Statement = {
  name: "checkout-two-by-order",
  text: `${selectRecord} where ${ofOrder} limit 2`,
};
/** What has the intent id, else the key, else the merchant's and the order's id. */
export const selectConflicting: Statement = {
  name: "checkout-conflicting",
  text: `${selectRecord} where o.intent_id = $1 or (o.merchant_id = $2 and o.order_id = $3)
    order by o.intent_id = $1 desc,
      o.merchants_own = $4 and (o.merchants_own or o.wallet = $5) desc limit 1`,
};

/** The domain's record of a row. */
export function parseRecord(row: RecordRow): CheckoutRecord {
  return {
    order: parseOrder(row),
    transitions: row.transitions.map(
      ({ from, to, cause, timeMs }): Transition => ({ from: from ?? undefined, to, cause, timeMs }),
    ),
    entries: row.entries.map(parseEntry),
  };
}

function parseOrder(row: RecordRow): Order {
  return {
    intentId: row.intent_id,
    merchantId: row.merchant_id,
    orderId: row.order_id,
    wallet: formatWallet(row.wallet),
    merchantsOwn: row.merchants_own,
    paymentMethod: row.payment_method,
    items: row.items,
    amount: BigInt(row.amount),
    ledger: row.ledger,
    createTimeMs: row.create_time.getTime(),
    expireTimeMs: row.expire_time.getTime(),
    state: row.state,
    paymentIntentId: row.payment_intent_id ?? "",
    walletSignature:
      row.wallet_signature === null ? "" : `0x${row.wallet_signature.toString("hex")}`,
    failureReason: row.failure_reason,
    declineCode: row.decline_code,
    returnOwed: row.return_owed,
    returnedRefundId: row.returned_refund_id ?? "",
    revision: BigInt(row.revision),
  };
}

function parseEntry(entry: EntryJson): Entry {
  return {
    entryId: entry.entryId,
    kind: entry.kind,
    state: entry.state,
    portions: entry.portions.map((portion) => ({
      ...portion,
      accountId: BigInt(portion.accountId),
      amount: BigInt(portion.amount),
    })),
    items: entry.items,
    stripeRefundId: entry.stripeRefundId ?? "",
    external: entry.external,
    correctsEntryId: entry.correctsEntryId ?? "",
    createTimeMs: entry.createTimeMs,
    attempts: entry.attempts.map(parseAttempt),
  };
}

function parseAttempt(attempt: AttemptJson): Attempt {
  return {
    intent: parseIntentJson(attempt.intent),
    attestation: parseAttestation(attempt),
    state: attempt.state,
    createTimeMs: attempt.createTimeMs,
    commitTimestamp: attempt.commitTimestamp === null ? undefined : BigInt(attempt.commitTimestamp),
  };
}

function parseAttestation(attempt: AttemptJson): Attestation | undefined {
  const { digest, signature, signer, walletSignature, tree } = attempt;
  if (digest === null || signature === null || signer === null) return undefined;
  return {
    digest: `0x${digest}`,
    signature: `0x${signature}`,
    signer: formatWallet(Buffer.from(signer, "hex")),
    walletSignature: walletSignature === null ? "" : `0x${walletSignature}`,
    ...treeOf(tree === null ? null : Buffer.from(tree, "hex")),
  };
}

function parseIntentJson(json: IntentJson): Intent {
  return {
    ...json,
    postings: json.postings.map((posting) => ({
      ...posting,
      debitAccountId: BigInt(posting.debitAccountId),
      creditAccountId: BigInt(posting.creditAccountId),
      amount: BigInt(posting.amount),
    })),
    issueTime: BigInt(json.issueTime),
    expireTime: BigInt(json.expireTime),
  };
}

/** The jsonb of an intent or of portions: bigints as decimal strings. */
export function formatJson(value: Intent | readonly Portion[] | readonly Item[]): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === "bigint" ? part.toString() : part,
  );
}
