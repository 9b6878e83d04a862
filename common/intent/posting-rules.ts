import { DomainError, invalidField } from "#common/domain-error.ts";
import { formatAmount } from "#common/ledger/assets.ts";
import {
  type AccountClass,
  accountClassOf,
  chartAccountId,
  findChartAccount,
} from "#common/ledger/chart.ts";
import { isWalletAccountId, walletAccountId } from "#common/ledger/wallet-account.ts";
import type { Authority, RelatedIntents } from "./authority.ts";
import type { Intent, Posting } from "./intent.ts";
import { postingCodes } from "./posting-codes.ts";

export type { Authority, RelatedIntents } from "./authority.ts";

/** One side of a posting: classes, or single accounts of the chart by their id in ledger 1. */
interface Side {
  readonly classes: readonly AccountClass[];
  readonly accounts: readonly bigint[];
  readonly except: readonly bigint[];
}

interface PostingRule {
  readonly name: string;
  /** The allowed ways from a debit side to a credit side. */
  readonly ways: readonly { readonly debit: Side; readonly credit: Side }[];
  /** Whose authority it needs; PURCHASE also passes as a house entry when FUNDING covers it. */
  readonly who: "wallet" | "house";
  /** The row of the table, for people. */
  readonly says: string;
}

const stripeSettlement = 3_000_001n;
const fees = 7_000_001n;
const losses = 7_000_002n;

const anyOf = (...classes: readonly AccountClass[]): Side => ({
  classes,
  accounts: [],
  except: [],
});
const only = (...accounts: readonly bigint[]): Side => ({ classes: [], accounts, except: [] });
const honoringAgent: Side = { classes: ["AGENT"], accounts: [], except: [stripeSettlement] };
const house = anyOf("RESERVE", "CASH", "ACH", "AGENT", "OBLIGATION", "MIRROR", "TOKEN", "EXPENSE");

type PostingCode = (typeof postingCodes)[keyof typeof postingCodes];

const rules: Readonly<Record<PostingCode, PostingRule>> = {
  1: {
    name: "FUNDING",
    ways: [
      { debit: only(stripeSettlement), credit: anyOf("WALLET") },
      { debit: anyOf("CASH"), credit: anyOf("WALLET") },
    ],
    who: "house",
    says: "FUNDING runs from STRIPE_SETTLEMENT or CASH to WALLET",
  },
  2: {
    name: "PURCHASE",
    ways: [{ debit: anyOf("WALLET"), credit: anyOf("OBLIGATION") }],
    who: "wallet",
    says: "PURCHASE runs from WALLET to OBLIGATION",
  },
  3: {
    name: "FULFILMENT",
    ways: [{ debit: anyOf("OBLIGATION"), credit: honoringAgent }],
    who: "house",
    says: "FULFILMENT runs from OBLIGATION to an AGENT other than STRIPE_SETTLEMENT",
  },
  4: {
    name: "AGENT_PAYOUT",
    ways: [{ debit: honoringAgent, credit: anyOf("CASH", "ACH") }],
    who: "house",
    says: "AGENT_PAYOUT runs from an AGENT other than STRIPE_SETTLEMENT to CASH or ACH",
  },
  5: {
    name: "REFUND",
    ways: [
      { debit: anyOf("OBLIGATION"), credit: anyOf("WALLET") },
      { debit: only(losses), credit: anyOf("WALLET") },
      { debit: anyOf("WALLET"), credit: only(stripeSettlement) },
    ],
    who: "house",
    says: "REFUND runs from OBLIGATION or LOSSES to WALLET, then from WALLET to STRIPE_SETTLEMENT",
  },
  6: {
    name: "WALLET_TRANSFER",
    ways: [{ debit: anyOf("WALLET"), credit: anyOf("WALLET") }],
    who: "wallet",
    says: "WALLET_TRANSFER runs from WALLET to WALLET",
  },
  7: {
    name: "TOKEN_MINT",
    ways: [{ debit: anyOf("TOKEN"), credit: anyOf("WALLET") }],
    who: "house",
    says: "TOKEN_MINT runs from TOKEN to WALLET",
  },
  8: {
    name: "TOKEN_BURN",
    ways: [{ debit: anyOf("WALLET"), credit: anyOf("TOKEN") }],
    who: "wallet",
    says: "TOKEN_BURN runs from WALLET to TOKEN",
  },
  9: {
    name: "ADJUSTMENT",
    ways: [{ debit: house, credit: house }],
    who: "house",
    says: "ADJUSTMENT touches no WALLET",
  },
  10: {
    name: "STRIPE_PAYOUT",
    ways: [{ debit: anyOf("CASH"), credit: only(stripeSettlement) }],
    who: "house",
    says: "STRIPE_PAYOUT debits CASH and credits STRIPE_SETTLEMENT",
  },
  11: {
    name: "STRIPE_FEE",
    ways: [{ debit: only(fees), credit: only(stripeSettlement) }],
    who: "house",
    says: "STRIPE_FEE debits FEES and credits STRIPE_SETTLEMENT",
  },
  12: {
    name: "DISPUTE_OPENED",
    ways: [{ debit: only(losses), credit: only(stripeSettlement) }],
    who: "house",
    says: "DISPUTE_OPENED debits LOSSES and credits STRIPE_SETTLEMENT",
  },
  13: {
    name: "DISPUTE_WON",
    ways: [{ debit: only(stripeSettlement), credit: only(losses) }],
    who: "house",
    says: "DISPUTE_WON debits STRIPE_SETTLEMENT and credits LOSSES",
  },
};

/** The name of a posting rule, or undefined for an unknown code. */
export function postingName(code: number): string | undefined {
  return findRule(code)?.name;
}

/** True if the rules of the intent's postings need the pending intent of POST and VOID. */
export function refersToPending(intent: Intent): boolean {
  return intent.phase === "POST_PENDING" || intent.phase === "VOID_PENDING";
}

/** True if the rules of the intent's postings need the intent that it corrects. */
export function refersToCorrected(intent: Intent): boolean {
  return (
    !refersToPending(intent) &&
    intent.postings.some((posting) => posting.code === postingCodes.REFUND)
  );
}

/**
 * Checks an intent's postings against the chart and the table of rules, and tells whose authority it needs.
 * The Attestor calls it before it signs, and Clearing again before it posts.
 * Throws INVALID_FIELD, POSTING_NOT_ALLOWED, LEDGERS_DIFFER, PENDING_NOT_FOUND, PENDING_AMOUNT_EXCEEDED.
 */
export function checkPostings(intent: Intent, related: RelatedIntents): Authority {
  if (refersToPending(intent)) {
    checkAgainstPending(intent, related.pending);
  } else {
    for (const [index, posting] of intent.postings.entries()) checkWay(intent, posting, index);
    if (refersToCorrected(intent)) checkRefund(intent, related.corrected);
  }
  return authorityOf(intent);
}

/**
 * Whose authority an intent needs; checkPostings answers the same. It needs no evidence and proves nothing about
 * the postings' sides. Throws POSTING_NOT_ALLOWED.
 */
export function authorityOf(intent: Intent): Authority {
  return refersToPending(intent) ? { wallet: false, house: true } : walkPostings(intent);
}

function findRule(code: number): PostingRule | undefined {
  return (rules as Readonly<Record<number, PostingRule | undefined>>)[code];
}

function notAllowed(index: number, rule: string): DomainError<"POSTING_NOT_ALLOWED"> {
  const field = `intent.postings[${index}]`;
  return new DomainError("POSTING_NOT_ALLOWED", `${field}: ${rule}`, { metadata: { field, rule } });
}

/** One posting for itself: known accounts of the posting's asset, on sides that its rule allows. */
function checkWay(intent: Intent, posting: Posting, index: number): void {
  const field = `intent.postings[${index}]`;
  if (posting.debitAccountId === posting.creditAccountId) {
    throw invalidField(
      `${field}.credit_account_id`,
      "posting.accounts_differ",
      "must be another account than the debited one",
    );
  }
  const rule = findRule(posting.code);
  if (rule === undefined) throw notAllowed(index, `there is no posting rule ${posting.code}`);
  for (const accountId of [posting.debitAccountId, posting.creditAccountId]) {
    if (accountClassOf(accountId) === undefined) {
      throw notAllowed(index, `account ${accountId} is not in the chart of accounts`);
    }
    checkLedger(posting, accountId, field);
  }
  const allowed = rule.ways.some(
    (way) =>
      stands(way.debit, posting.debitAccountId, posting.ledger) &&
      stands(way.credit, posting.creditAccountId, posting.ledger),
  );
  if (!allowed) throw notAllowed(index, rule.says);
  if (posting.code === postingCodes.ADJUSTMENT && !intent.corrects && !intent.reference) {
    throw notAllowed(index, "ADJUSTMENT needs `corrects` or `reference`");
  }
}

function checkLedger(posting: Posting, accountId: bigint, field: string): void {
  const account = findChartAccount(accountId);
  if (account === undefined || account.ledger === posting.ledger) return;
  throw new DomainError(
    "LEDGERS_DIFFER",
    `${field}: ${account.name} (${accountId}) belongs to ledger ${account.ledger}, the posting to ${posting.ledger}`,
    {
      metadata: {
        field,
        ledger: String(posting.ledger),
        accountLedger: String(account.ledger),
      },
    },
  );
}

function stands(side: Side, accountId: bigint, ledger: number): boolean {
  const isOneOf = (ids: readonly bigint[]) =>
    ids.some((id) => chartAccountId(id, ledger) === accountId);
  if (isOneOf(side.accounts)) return true;
  const accountClass = accountClassOf(accountId);
  return accountClass !== undefined && side.classes.includes(accountClass) && !isOneOf(side.except);
}

/**
 * Walks the postings in the order in which they clear. What FUNDING (or REFUND) has put into a wallet before
 * may be spent by PURCHASE (or REFUND) without the wallet's signature; all other spending is the wallet's.
 */
function walkPostings(intent: Intent): Authority {
  checkOrder(intent);
  const authority = { wallet: false, house: false };
  const funded = new Map<bigint, bigint>();
  const refunded = new Map<bigint, bigint>();
  for (const [index, posting] of intent.postings.entries()) {
    const { debitAccountId, creditAccountId, amount, code } = posting;
    if (code === postingCodes.FUNDING) {
      add(funded, creditAccountId, amount);
    } else if (code === postingCodes.REFUND && isWalletAccountId(creditAccountId)) {
      add(refunded, creditAccountId, amount);
    } else if (code === postingCodes.REFUND) {
      // A pending credit covers nothing: posted leg by leg, the debit would take what is the wallet's own.
      if (intent.phase !== "IMMEDIATE") {
        throw notAllowed(index, "REFUND to STRIPE_SETTLEMENT is IMMEDIATE");
      }
      if (!take(refunded, debitAccountId, amount)) {
        throw notAllowed(
          index,
          "REFUND to STRIPE_SETTLEMENT is covered by REFUND to the same WALLET before it",
        );
      }
    } else if (
      code === postingCodes.PURCHASE &&
      intent.phase === "IMMEDIATE" &&
      take(funded, debitAccountId, amount)
    ) {
      authority.house = true;
      continue;
    }
    if (findRule(code)?.who === "wallet") {
      checkOwner(intent, posting, index);
      authority.wallet = true;
    } else {
      authority.house = true;
    }
  }
  return authority;
}

/** Money must be there before it is spent: an overdraft in the middle of the chain would kill the intent for ever. */
function checkOrder(intent: Intent): void {
  const spent = new Set<bigint>();
  for (const [index, { code, debitAccountId, creditAccountId }] of intent.postings.entries()) {
    if (code === postingCodes.PURCHASE) spent.add(debitAccountId);
    if (code === postingCodes.FUNDING && spent.has(creditAccountId)) {
      throw notAllowed(index, "FUNDING comes before the PURCHASE that it pays");
    }
  }
}

function add<Key>(sums: Map<Key, bigint>, key: Key, amount: bigint): void {
  sums.set(key, (sums.get(key) ?? 0n) + amount);
}

/** Takes an amount off a sum, unless the sum is smaller. */
function take<Key>(sums: Map<Key, bigint>, key: Key, amount: bigint): boolean {
  const sum = sums.get(key) ?? 0n;
  if (sum < amount) return false;
  sums.set(key, sum - amount);
  return true;
}

/** What a wallet authorises may debit no account but its own. */
function checkOwner(intent: Intent, posting: Posting, index: number): void {
  if (posting.debitAccountId !== walletAccountId(intent.wallet, posting.ledger)) {
    throw notAllowed(index, "the debited WALLET belongs to the intent's wallet");
  }
}

/** POST and VOID resolve a pending intent leg by leg, and nothing else. */
function checkAgainstPending(intent: Intent, pending: Intent | undefined): void {
  if (pending === undefined || pending.phase !== "PENDING") {
    throw new DomainError(
      "PENDING_NOT_FOUND",
      `intent ${intent.pendingIntentId} is not a stored pending intent`,
      { metadata: { intentId: intent.intentId, pendingIntentId: intent.pendingIntentId } },
    );
  }
  if (intent.postings.length !== pending.postings.length) {
    throw notAllowed(
      Math.min(intent.postings.length, pending.postings.length),
      `the pending intent has ${pending.postings.length} postings`,
    );
  }
  for (const [index, posting] of intent.postings.entries()) {
    const reserved = pending.postings[index];
    if (reserved === undefined) continue;
    checkResolves(intent, posting, reserved, index);
  }
}

function checkResolves(intent: Intent, posting: Posting, reserved: Posting, index: number): void {
  const same =
    posting.debitAccountId === reserved.debitAccountId &&
    posting.creditAccountId === reserved.creditAccountId &&
    posting.ledger === reserved.ledger &&
    posting.code === reserved.code;
  if (!same) {
    throw notAllowed(index, "accounts, asset and code are those of the pending intent's posting");
  }
  if (intent.phase === "VOID_PENDING" && posting.amount !== reserved.amount) {
    throw notAllowed(index, "the amount voided is the amount pending");
  }
  if (posting.amount > reserved.amount) {
    const pendingText = formatAmount(reserved.amount, reserved.ledger);
    throw new DomainError(
      "PENDING_AMOUNT_EXCEEDED",
      `intent.postings[${index}]: ${formatAmount(posting.amount, posting.ledger)} is more than the ${pendingText} pending`,
      {
        metadata: {
          field: `intent.postings[${index}].amount`,
          pendingAmount: reserved.amount.toString(),
          amount: posting.amount.toString(),
        },
      },
    );
  }
}

/** A refund gives back to the wallet of a stored intent, within what that intent's purchases moved. */
function checkRefund(intent: Intent, corrected: Intent | undefined): void {
  const first = intent.postings.findIndex((posting) => posting.code === postingCodes.REFUND);
  if (corrected === undefined)
    throw notAllowed(first, "REFUND needs `corrects` to name a stored intent");
  if (corrected.phase === "PENDING" || corrected.phase === "VOID_PENDING") {
    throw notAllowed(
      first,
      "REFUND corrects an intent that moved something, which reserving does not",
    );
  }
  if (corrected.wallet !== intent.wallet) {
    throw notAllowed(first, "REFUND goes to the wallet of the intent that it corrects");
  }
  const boughtGoods = new Map<bigint, bigint>();
  const boughtByLedger = new Map<number, bigint>();
  for (const posting of corrected.postings) {
    if (posting.code !== postingCodes.PURCHASE) continue;
    add(boughtGoods, posting.creditAccountId, posting.amount);
    add(boughtByLedger, posting.ledger, posting.amount);
  }
  for (const [index, posting] of intent.postings.entries()) {
    if (posting.code !== postingCodes.REFUND || !isWalletAccountId(posting.creditAccountId))
      continue;
    if (posting.creditAccountId !== walletAccountId(intent.wallet, posting.ledger)) {
      throw notAllowed(index, "REFUND goes to the wallet of the intent that it corrects");
    }
    const { debitAccountId, ledger, amount } = posting;
    const fromGoods = accountClassOf(debitAccountId) === "OBLIGATION";
    const within =
      take(boughtByLedger, ledger, amount) &&
      (!fromGoods || take(boughtGoods, debitAccountId, amount));
    if (!within) {
      throw notAllowed(index, "REFUND stays within what the corrected intent moved");
    }
  }
}
