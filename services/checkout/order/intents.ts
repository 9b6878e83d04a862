import { zeroWallet } from "#common/address.ts";
import type { Intent, Posting } from "#common/intent/intent.ts";
import { postingCodes } from "#common/intent/posting-codes.ts";
import { lifetimeMaxSeconds } from "#common/intent/rules.ts";
import { chartAccounts } from "#common/ledger/chart.ts";
import { walletAccountId } from "#common/ledger/wallet-account.ts";
import { newUuidV7 } from "#common/uuid.ts";
import { findProduct, products, usd } from "./products.ts";
import { clearedAttempt, type Entry, entryAmount, type Order, type Portion } from "./record.ts";

/** A new intent's id and the time at which it is made. */
export interface Issue {
  /** UUIDv7. */
  readonly intentId: string;
  /** Epoch milliseconds. */
  readonly nowMs: number;
}

type Buyer = Pick<Order, "merchantId" | "orderId" | "wallet" | "ledger" | "paymentMethod">;

/** How long the intents live that wait for nobody, in seconds. */
const lifetimeSeconds = 3_600n;

const stripeSettlement = accountOf("STRIPE_SETTLEMENT");
const losses = accountOf("LOSSES");

/** The goods' accounts, in the order of the shelf: the order of an intent's postings. */
const goodsAccounts = [
  ...new Set(products.flatMap(({ goods }) => goods.map(({ accountId }) => accountId))),
];

/**
 * The first intent of an order: it buys what the order's items owe in goods. A CARD's funds the wallet first, and
 * lives longer than the order waits for its payment, by as much again and within 24 h: the PaymentIntent is cancelled
 * long before. Throws RangeError for a SKU that is no product's.
 */
export function purchaseIntent(
  order: Buyer & Pick<Order, "intentId" | "items" | "createTimeMs" | "expireTimeMs">,
): Intent {
  const wallet = walletAccountId(order.wallet, order.ledger);
  const amounts = goodsOf(order.items);
  const purchases = postingsOf(amounts, (creditAccountId, amount) => ({
    debitAccountId: wallet,
    creditAccountId,
    amount,
    ledger: order.ledger,
    code: postingCodes.PURCHASE,
  }));
  const funding: Posting = {
    debitAccountId: stripeSettlement,
    creditAccountId: wallet,
    amount: sumOf(purchases),
    ledger: order.ledger,
    code: postingCodes.FUNDING,
  };
  const byCard = order.paymentMethod === "CARD";
  const issueTime = secondsOf(order.createTimeMs);
  const waits = secondsOf(order.expireTimeMs) - issueTime;
  const lives = byCard ? waits * 2n : waits;
  return {
    ...intentOf(order, order.intentId, order.wallet),
    postings: byCard ? [funding, ...purchases] : purchases,
    issueTime,
    expireTime: issueTime + (lives < lifetimeMaxSeconds ? lives : lifetimeMaxSeconds),
  };
}

/**
 * Gives back what `portions` say: from the obligations and from LOSSES to the wallet, and to a card through
 * STRIPE_SETTLEMENT. `purchase` has cleared. Throws an Error if it has not.
 */
export function refundIntent(
  order: Buyer,
  purchase: Entry,
  portions: readonly Portion[],
  issue: Issue,
): Intent {
  const wallet = walletAccountId(order.wallet, order.ledger);
  const refund = (debitAccountId: bigint, creditAccountId: bigint, amount: bigint): Posting => ({
    debitAccountId,
    creditAccountId,
    amount,
    ledger: order.ledger,
    code: postingCodes.REFUND,
  });
  const toWallet = postingsOf(bearersOf(portions), (bearer, amount) =>
    refund(bearer, wallet, amount),
  );
  const toCard = refund(wallet, stripeSettlement, entryAmount({ portions }));
  return {
    ...intentOf(order, issue.intentId, order.wallet),
    ...briefly(issue.nowMs),
    postings: order.paymentMethod === "CARD" ? [...toWallet, toCard] : toWallet,
    corrects: clearedDigest(purchase),
  };
}

/**
 * Takes back a card's refund that cleared and that Stripe then could not pay: the goods are owed as before. Throws an
 * Error if the refund has not cleared.
 */
export function correctionIntent(order: Buyer, refund: Entry, issue: Issue): Intent {
  return {
    ...intentOf(order, issue.intentId, zeroWallet),
    ...briefly(issue.nowMs),
    postings: postingsOf(bearersOf(refund.portions), (creditAccountId, amount) => ({
      debitAccountId: stripeSettlement,
      creditAccountId,
      amount,
      ledger: order.ledger,
      code: postingCodes.ADJUSTMENT,
    })),
    corrects: clearedDigest(refund),
  };
}

/** Moves goods that were handed over from what is owed in goods to what is owed to the honoring agent. */
export function fulfilmentIntent(
  order: Buyer,
  portions: readonly Portion[],
  honoringAgentId: bigint,
  issue: Issue,
): Intent {
  return {
    ...intentOf(order, issue.intentId, zeroWallet),
    ...briefly(issue.nowMs),
    postings: postingsOf(bearersOf(portions), (debitAccountId, amount) => ({
      debitAccountId,
      creditAccountId: honoringAgentId,
      amount,
      ledger: order.ledger,
      code: postingCodes.FULFILMENT,
    })),
  };
}

/** Says the same again, for as long, once Clearing has made final that the intent itself never clears. */
export function successorOf(intent: Intent, nowMs: number): Intent {
  const issueTime = secondsOf(nowMs);
  return {
    ...intent,
    intentId: newUuidV7(nowMs),
    issueTime,
    expireTime: issueTime + (intent.expireTime - intent.issueTime),
  };
}

function intentOf(order: Buyer, intentId: string, wallet: string): Omit<Intent, "postings"> {
  return {
    intentId,
    phase: "IMMEDIATE",
    wallet,
    merchantId: order.merchantId,
    reference: order.orderId,
    corrects: "",
    pendingIntentId: "",
    timeoutSeconds: 0,
    issueTime: 0n,
    expireTime: 0n,
  };
}

function briefly(nowMs: number): Pick<Intent, "issueTime" | "expireTime"> {
  const issueTime = secondsOf(nowMs);
  return { issueTime, expireTime: issueTime + lifetimeSeconds };
}

/** What the items owe, by the good's account. */
function goodsOf(items: Order["items"]): Map<bigint, bigint> {
  const amounts = new Map<bigint, bigint>();
  for (const { sku, quantity } of items) {
    const product = findProduct(sku);
    if (product === undefined) throw new RangeError(`there is no product ${sku}`);
    for (const { accountId, unitAmount } of product.goods) {
      add(amounts, accountId, unitAmount * BigInt(quantity));
    }
  }
  return amounts;
}

/** What the portions are borne by: the goods' accounts, and LOSSES once for all of them. */
function bearersOf(portions: readonly Portion[]): Map<bigint, bigint> {
  const amounts = new Map<bigint, bigint>();
  for (const { bearer, accountId, amount } of portions) {
    add(amounts, bearer === "LOSSES" ? losses : accountId, amount);
  }
  return amounts;
}

/** One posting per account that has an amount: goods in the order of the shelf, LOSSES last. */
function postingsOf(
  amounts: ReadonlyMap<bigint, bigint>,
  postingOf: (accountId: bigint, amount: bigint) => Posting,
): Posting[] {
  return [...goodsAccounts, losses].flatMap((accountId) => {
    const amount = amounts.get(accountId) ?? 0n;
    return amount === 0n ? [] : [postingOf(accountId, amount)];
  });
}

function clearedDigest(entry: Entry): string {
  const digest = clearedAttempt(entry)?.attestation?.digest;
  if (digest === undefined) throw new Error(`entry ${entry.entryId} has not cleared`);
  return digest;
}

function add(sums: Map<bigint, bigint>, key: bigint, amount: bigint): void {
  sums.set(key, (sums.get(key) ?? 0n) + amount);
}

function sumOf(postings: readonly Posting[]): bigint {
  return postings.reduce((sum, { amount }) => sum + amount, 0n);
}

function secondsOf(timeMs: number): bigint {
  return BigInt(Math.floor(timeMs / 1_000));
}

function accountOf(name: string): bigint {
  const account = chartAccounts.find(
    (candidate) => candidate.name === name && candidate.ledger === usd,
  );
  if (account === undefined) throw new RangeError(`the chart of accounts has no ${name}`);
  return account.id;
}
