import type { Authority } from "#common/intent/authority.ts";
import type { Intent, Posting } from "#common/intent/intent.ts";
import type { BookSide, BookWay } from "../book.ts";
import { walletAccountOf } from "../wallet-account-of.ts";
import type { Chart } from "./chart-of.ts";
import { notAllowed } from "./refusals.ts";

/** What postings of rules have put into accounts before, and nobody has taken since: by rule, and by account. */
type Covered = Map<number, Map<bigint, bigint>>;

/**
 * Walks the postings in the order in which they clear, and tells whose word they need. What rules that cover others have
 * put into an account before may be taken out without the wallet's signature; all other spending is the wallet's.
 */
export function walkPostings(chart: Chart, intent: Intent): Authority {
  const { postings } = intent;
  const ways = postings.map((posting) => likeliestWay(chart, posting));
  checkOrder(chart, intent, ways);
  const authority = { wallet: false, house: false };
  const covered: Covered = new Map();
  for (const [index, posting] of postings.entries()) {
    const way = ways[index];
    const isCovered =
      way !== undefined && takeCovered(chart, { intent, posting, index, way, covered });
    if (chart.covering.has(posting.code) && way?.onlyCovered !== true) put(covered, posting);
    if (chart.rule(posting.code)?.authority === "WALLET" && !isCovered) {
      checkOwner(chart, intent, posting, index);
      authority.wallet = true;
    } else {
      authority.house = true;
    }
  }
  return authority;
}

/** The way that a posting runs; of one that runs none, as nobody checked it, that which its rule most likely meant. */
function likeliestWay(chart: Chart, posting: Posting): BookWay | undefined {
  const { code, debitAccountId, creditAccountId, ledger } = posting;
  const found = chart.way(code, debitAccountId, creditAccountId, ledger);
  if (found !== undefined) return found.way;
  const ways = chart.ways(code, ledger);
  const toWallet = chart.walletClass(creditAccountId) !== undefined;
  const alike = ways.find(({ credit }) => credit.walletClasses.size > 0 === toWallet);
  return (alike ?? ways[0])?.way;
}

interface Step {
  readonly intent: Intent;
  readonly posting: Posting;
  readonly index: number;
  readonly way: BookWay;
  readonly covered: Covered;
}

/** Whether postings before it cover this one whole; then it takes what they put there. */
function takeCovered(chart: Chart, { intent, posting, index, way, covered }: Step): boolean {
  const { coveredBy, onlyCovered, immediateOnly } = way;
  const { code, debitAccountId, amount } = posting;
  const name = () => `${chart.rule(code)?.name} to ${sideName(chart, way.credit)}`;
  // A pending credit covers nothing: posted leg by leg, the debit would take what is the account's own.
  if (immediateOnly && intent.phase !== "IMMEDIATE")
    throw notAllowed(index, `${name()} is IMMEDIATE`);
  if (coveredBy.size === 0) return false;
  const isTaken = intent.phase === "IMMEDIATE" && take(covered, coveredBy, debitAccountId, amount);
  if (!isTaken && onlyCovered) {
    const by = [...coveredBy].map((one) => chart.rule(one)?.name).join(" or ");
    const where = sideName(chart, way.debit);
    throw notAllowed(index, `${name()} is covered by ${by} to the same ${where} before it`);
  }
  return isTaken;
}

function put(covered: Covered, { code, creditAccountId, amount }: Posting): void {
  const sums = covered.get(code) ?? new Map<bigint, bigint>();
  covered.set(code, sums);
  sums.set(creditAccountId, (sums.get(creditAccountId) ?? 0n) + amount);
}

/** Takes an amount off what some rules have put into an account, unless that is less. */
function take(
  covered: Covered,
  codes: ReadonlySet<number>,
  accountId: bigint,
  amount: bigint,
): boolean {
  if (covered.size === 0) return false;
  const pools = [...codes].flatMap((code) => covered.get(code) ?? []);
  const sum = pools.reduce((total, sums) => total + (sums.get(accountId) ?? 0n), 0n);
  if (sum < amount) return false;
  let left = amount;
  for (const sums of pools) {
    const there = sums.get(accountId) ?? 0n;
    const taken = there < left ? there : left;
    sums.set(accountId, there - taken);
    left -= taken;
  }
  return true;
}

/** Money must be there before it is spent: an overdraft in the middle of the chain would kill the intent for ever. */
function checkOrder(
  chart: Chart,
  { postings }: Intent,
  ways: readonly (BookWay | undefined)[],
): void {
  if (!postings.some(({ code }) => chart.covering.has(code))) return;
  const spent = new Map<bigint, { readonly by: ReadonlySet<number>; readonly name: string }[]>();
  for (const [index, { code, debitAccountId, creditAccountId }] of postings.entries()) {
    const way = ways[index];
    const name = chart.rule(code)?.name ?? "";
    if (way !== undefined && way.coveredBy.size > 0 && !way.onlyCovered) {
      const spending = { by: way.coveredBy, name };
      spent.set(debitAccountId, [...(spent.get(debitAccountId) ?? []), spending]);
    }
    const payer = spent.get(creditAccountId)?.find(({ by }) => by.has(code));
    if (payer !== undefined)
      throw notAllowed(index, `${name} comes before the ${payer.name} that it pays`);
  }
}

/** What a wallet authorises may debit no account but its own. */
function checkOwner(chart: Chart, intent: Intent, posting: Posting, index: number): void {
  const { debitAccountId, ledger } = posting;
  const debited = chart.walletClass(debitAccountId);
  const own = debited && walletAccountOf(intent.wallet, ledger, debited.code);
  if (debitAccountId !== own) {
    throw notAllowed(index, "the debited WALLET belongs to the intent's wallet");
  }
}

/** What a side is called in a refusal: its classes and accounts. */
function sideName({ book }: Chart, { classes, accounts }: BookSide): string {
  return [
    ...book.classes.filter(({ code }) => classes.has(code)),
    ...book.accounts.filter(({ id }) => accounts.has(id)),
  ]
    .map(({ name }) => name)
    .join(" or ");
}
