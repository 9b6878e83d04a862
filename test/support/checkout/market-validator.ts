import type { Stripe } from "stripe";
import type { Transfer } from "tigerbeetle-node";
import type { Purchase, StaffRequest } from "./market.ts";
import { type Books, buyerAccount, type EntryRow, type OrderRow } from "./market-books.ts";

// What goods cost and where they are owed, written down once more: nothing here is taken from what is judged.
const stripeAccount = 3_000_001n;
const agentAccount = 3_000_002n;
const lossesAccount = 7_000_002n;
const cashAccount = 1_000_002n;
const milk = { account: 4_000_001n, cents: 350n };
const eggs = { account: 4_000_002n, cents: 250n };
const bread = { account: 4_000_003n, cents: 150n };
const goodsOf: Readonly<Record<string, readonly (typeof milk)[]>> = {
  MILK: [milk],
  EGGS: [eggs],
  BREAD: [bread],
  BUNDLE: [milk, eggs, bread],
};

type Sums = Map<bigint, bigint>;
type Say = (problem: string) => void;

/** What is wrong with the books; empty if all is well. Everything must have settled. */
export function validateBooks(books: Books): string[] {
  const problems: string[] = [];
  for (const order of books.orders) {
    const say = (problem: string) => {
      problems.push(`${order.intentId} (${order.state}, card ${order.byCard}): ${problem}`);
    };
    checkEntries(books, order, say);
    checkTransitions(order, say);
    if (chainsOfEntry(books, purchaseOf(order)).length > 0) checkCleared(books, order, say);
    else checkUncleared(books, order, say);
  }
  checkStripe(books, (problem) => problems.push(problem));
  checkAccounts(books, (problem) => problems.push(problem));
  return problems;
}

/** Where what people were told is not so. */
export function validateAnswers(
  { orders, chains }: Books,
  purchases: readonly Purchase[],
  requests: readonly StaffRequest[],
): string[] {
  const problems: string[] = [];
  const byId = new Map(orders.map((order) => [order.intentId, order]));
  for (const { intentId, toldCleared } of purchases) {
    const order = byId.get(intentId);
    if (order === undefined) problems.push(`checkout ${intentId} was answered and is not there`);
    else if (toldCleared && !isCleared(order, chains)) {
      problems.push(`checkout ${intentId} was told to have cleared`);
    }
  }
  const entries = new Map(
    orders.flatMap((order) => order.entries.map((entry) => [entry.entryId, entry] as const)),
  );
  for (const { intentId, kind, outcome, items } of requests) {
    const entry = entries.get(intentId);
    if (outcome === "UNKNOWN") problems.push(`${kind} ${intentId} was never answered`);
    if (outcome === "REFUSED" && entry !== undefined) {
      problems.push(`${kind} ${intentId} was refused and is there`);
    }
    if (outcome !== "STORED") continue;
    const isSame = entry?.kind === kind && priceOf(entry.items) === priceOf(items);
    if (!isSame) problems.push(`${kind} ${intentId} was answered and is not there as it was asked`);
  }
  return problems;
}

function isCleared(order: OrderRow, chains: Books["chains"]): boolean {
  return purchaseOf(order).attempts.some(({ intentId }) => chains.has(intentId));
}

/** At most one intent of an entry is in the ledger, and the tables say which. */
function checkEntries(books: Books, order: OrderRow, say: Say): void {
  for (const entry of order.entries) {
    const found = chainsOfEntry(books, entry);
    const name = `${entry.kind} ${entry.entryId}`;
    if (found.length > 1) say(`${name} cleared ${found.length} times`);
    const shouldBeThere = entry.state === "CLEARED" || entry.state === "CORRECTED";
    if (shouldBeThere !== found.length > 0) say(`${name} is ${entry.state} with ${found.length}`);
    for (const { intentId, state } of entry.attempts) {
      if ((state === "CLEARED") !== books.chains.has(intentId)) {
        say(`${intentId} of ${name} is ${state}, and the ledger says otherwise`);
      }
    }
  }
  if (order.entries.filter(({ kind }) => kind === "PURCHASE").length !== 1) {
    say("it has not one purchase");
  }
}

function checkTransitions({ transitions, state }: OrderRow, say: Say): void {
  let last: string | null = null;
  for (const { from, to } of transitions) {
    if (from !== last) say(`a transition from ${from} follows one to ${last}`);
    last = to;
  }
  if (transitions[0]?.to !== "CREATED") say("it did not begin as CREATED");
  if (last !== state) say(`its last transition is to ${last}`);
}

function checkCleared(books: Books, order: OrderRow, say: Say): void {
  const bought = owedFor(order.items);
  const amount = sumOf(bought.values());
  if (amount !== order.amount) say(`its items cost ${amount}, not ${order.amount}`);
  checkPurchase(order, effectOf(chainsOfEntry(books, purchaseOf(order)).flat()), say);
  const cleared = order.entries.filter(({ state }) => state === "CLEARED");
  const refunded = sumOf(
    cleared.filter(({ kind }) => kind === "REFUND").map((entry) => entry.amount),
  );
  const state = refunded === 0n ? "CLEARED" : refunded < amount ? "PARTLY_REFUNDED" : "REFUNDED";
  if (refunded > amount) say(`${refunded} of ${amount} was given back`);
  if (order.state !== state) say(`it should be ${state}`);

  const effect = effectOf(order.entries.flatMap((entry) => chainsOfEntry(books, entry).flat()));
  const fulfilled = owedFor(
    cleared.filter(({ kind }) => kind === "FULFILMENT").flatMap(({ items }) => items),
  );
  let fromObligations = 0n;
  for (const { account } of [milk, eggs, bread]) {
    const owed = -(effect.get(account) ?? 0n);
    if (owed < 0n) say(`${owed} is owed in ${account}`);
    fromObligations += at(bought, account) - at(fulfilled, account) - owed;
  }
  const losses = at(effect, lossesAccount);
  if (fromObligations + losses !== refunded) {
    say(`obligations gave back ${fromObligations}, LOSSES ${losses}, in all ${refunded}`);
  }
  if (losses < 0n || losses > sumOf(fulfilled.values())) say(`LOSSES bear ${losses}`);
  if (at(effect, agentAccount) !== -sumOf(fulfilled.values())) say("the agent is owed otherwise");
  if (order.byCard) checkCard(books, order, { effect, refunded }, say);
  else if (at(effect, buyerAccount(order)) !== amount - refunded) say("the wallet paid otherwise");
}

function checkPurchase(order: OrderRow, effect: Sums, say: Say): void {
  const payer = order.byCard ? stripeAccount : buyerAccount(order);
  const wanted = owedFor(order.items);
  for (const [account, amount] of wanted) wanted.set(account, -amount);
  wanted.set(payer, order.amount);
  for (const account of new Set([...wanted.keys(), ...effect.keys()])) {
    if (at(wanted, account) !== at(effect, account)) say(`its purchase moved ${account} wrongly`);
  }
}

/** What Stripe kept of a payment is what the ledger says that Stripe owes for it, refund by refund. */
function checkCard(
  books: Books,
  order: OrderRow,
  { effect, refunded }: { readonly effect: Sums; readonly refunded: bigint },
  say: Say,
): void {
  if (at(effect, buyerAccount(order)) !== 0n) say("the buyer's wallet kept something");
  const { charged, given } = paidFor(books, order);
  if (charged !== order.amount) say(`Stripe charged ${charged} for ${order.amount}`);
  if (charged - given !== at(effect, stripeAccount)) {
    say(`Stripe has ${charged - given}, the ledger says ${at(effect, stripeAccount)}`);
  }
  if (given !== refunded) say(`Stripe gave back ${given}, the books say ${refunded}`);
  const refunds = books.refunds.get(order.paymentIntentId) ?? [];
  const entries = order.entries.filter(({ kind }) => kind === "REFUND");
  for (const refund of refunds) checkRefund(refund, entries, say);
  for (const { entryId, state, stripeRefundId } of entries) {
    if (state === "CLEARED" && !refunds.some(({ id }) => id === stripeRefundId)) {
      say(`refund ${entryId} is not at Stripe`);
    }
  }
}

function checkRefund(refund: Stripe.Refund, entries: readonly EntryRow[], say: Say): void {
  const found = entries.filter(({ stripeRefundId }) => stripeRefundId === refund.id);
  const [entry] = found;
  const counts = isGiven(refund);
  if (found.length > 1) say(`${refund.id} has ${found.length} entries`);
  if (entry === undefined) {
    if (counts) say(`${refund.id} is not in the books`);
    return;
  }
  if (counts !== (entry.state === "CLEARED"))
    say(`${refund.id} is ${refund.status}, its entry ${entry.state}`);
  if (BigInt(refund.amount) !== entry.amount) say(`${refund.id} has another amount than its entry`);
  const named = refund.metadata?.["intent_id"];
  if (entry.external ? named !== undefined : named !== entry.entryId) {
    say(`${refund.id} names ${named}, its entry is ${entry.entryId}`);
  }
}

function checkUncleared(books: Books, order: OrderRow, say: Say): void {
  if (order.state !== "CANCELLED" && order.state !== "FAILED") say("it has not cleared");
  if (order.returnOwed) say("its payment was not given back");
  if (order.entries.length > 1) say("it has more than a purchase");
  if (!order.byCard) return;
  const payments = paymentsOf(books, order);
  for (const { id, status } of payments) {
    if (status === "canceled") continue;
    if (status !== "succeeded") say(`its payment ${id} is ${status}`);
    else if (order.state === "CANCELLED") say("it was paid and cancelled");
  }
  const { charged, given } = paidFor(books, order);
  const refunds = books.refunds.get(order.paymentIntentId) ?? [];
  // A card that takes no money back is a matter for people.
  const isStuck = refunds.some(
    ({ status, metadata }) => status === "failed" && metadata?.["intent_id"] === order.intentId,
  );
  if (charged !== given && !isStuck) say(`Stripe charged ${charged}, and gave back ${given}`);
}

/** Every payment is of an order, or none of ours; every order has one at most. */
function checkStripe(books: Books, say: Say): void {
  const owners = new Set(books.orders.map(({ intentId }) => intentId));
  for (const { id, metadata } of books.payments.values()) {
    if (metadata["stray"] === "yes") continue;
    if (!owners.has(metadata["intent_id"] ?? "")) say(`payment ${id} is of no order`);
  }
  let kept = 0n;
  for (const order of books.orders) {
    const payments = paymentsOf(books, order);
    if (payments.length > 1) say(`${order.intentId} has ${payments.length} payments`);
    const isOwn = payments.every(({ id }) => id === order.paymentIntentId);
    if (order.paymentIntentId !== "" && !isOwn) say(`${order.intentId} has another's payment`);
    if (!order.byCard || !isCleared(order, books.chains)) continue;
    const { charged, given } = paidFor(books, order);
    kept += charged - given;
  }
  if (kept !== at(books.debits, stripeAccount)) {
    say(`Stripe has ${kept}, STRIPE_SETTLEMENT says ${at(books.debits, stripeAccount)}`);
  }
}

/** Balances are the sums of transfers; debits are credits; nothing moved past Checkout but the play money. */
function checkAccounts(books: Books, say: Say): void {
  for (const chain of books.others) {
    const isFunding = chain.every((row) => row.code === 1 && row.debit_account_id === cashAccount);
    if (!isFunding) say(`transfer ${chain[0]?.id} is of nobody's intent`);
  }
  const effect = effectOf([...books.chains.values(), ...books.others, ...books.foreign].flat());
  for (const [account, debits] of books.debits) {
    if (at(effect, account) !== debits) say(`the balance of ${account} is not what was moved`);
  }
  const { debits, credits, pending } = books.accountSums;
  if (debits !== credits) say(`${debits} was debited and ${credits} credited`);
  if (pending !== 0n) say(`${pending} is pending`);
  for (const order of books.orders) {
    if (order.byCard && at(books.debits, buyerAccount(order)) !== 0n) {
      say(`the wallet of card buyer ${order.wallet} is not empty`);
    }
  }
}

function chainsOfEntry({ chains }: Books, { attempts }: EntryRow): (readonly Transfer[])[] {
  return attempts.flatMap(({ intentId }) => {
    const chain = chains.get(intentId);
    return chain === undefined ? [] : [chain];
  });
}

function paymentsOf({ payments }: Books, { intentId }: OrderRow): Stripe.PaymentIntent[] {
  return [...payments.values()].filter(
    ({ metadata }) => metadata["intent_id"] === intentId && metadata["stray"] !== "yes",
  );
}

/** What Stripe took for an order, and what of it went back or is on its way. */
function paidFor(books: Books, { paymentIntentId }: OrderRow) {
  const charges = books.charges.get(paymentIntentId) ?? [];
  const refunds = books.refunds.get(paymentIntentId) ?? [];
  return {
    charged: sumOf(
      charges.filter(({ paid }) => paid).map(({ amount_captured }) => BigInt(amount_captured)),
    ),
    given: sumOf(refunds.filter(isGiven).map(({ amount }) => BigInt(amount))),
  };
}

function isGiven({ status }: Stripe.Refund): boolean {
  return status !== "failed" && status !== "canceled";
}

function purchaseOf({ entries, intentId }: OrderRow): EntryRow {
  const purchase = entries.find(({ kind }) => kind === "PURCHASE");
  if (purchase === undefined) throw new Error(`${intentId} has no purchase`);
  return purchase;
}

/** What items owe, by the good's account. */
function owedFor(items: OrderRow["items"]): Sums {
  const sums: Sums = new Map();
  for (const { sku, quantity } of items) {
    for (const { account, cents } of goodsOf[sku] ?? []) {
      sums.set(account, at(sums, account) + cents * BigInt(quantity));
    }
  }
  return sums;
}

function priceOf(items: OrderRow["items"]): bigint {
  return sumOf(owedFor(items).values());
}

/** Debits less credits, by account. */
function effectOf(transfers: readonly Transfer[]): Sums {
  const sums: Sums = new Map();
  for (const { debit_account_id: debit, credit_account_id: credit, amount } of transfers) {
    sums.set(debit, at(sums, debit) + amount);
    sums.set(credit, at(sums, credit) - amount);
  }
  return sums;
}

function at(sums: ReadonlyMap<bigint, bigint>, account: bigint): bigint {
  return sums.get(account) ?? 0n;
}

function sumOf(amounts: Iterable<bigint>): bigint {
  let sum = 0n;
  for (const amount of amounts) sum += amount;
  return sum;
}
