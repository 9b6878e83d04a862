import type { Intent, Posting } from "#common/intent/intent.ts";
import type { BookRule } from "../book.ts";
import { walletAccountOf } from "../wallet-account-of.ts";
import { stands } from "../ways.ts";
import type { Chart } from "./chart-of.ts";
import { notAllowed } from "./refusals.ts";

/** True if a posting of the intent gives back what another intent moved. */
export function givesBack(chart: Chart, intent: Intent): boolean {
  return intent.postings.some(({ code }) => (chart.rule(code)?.givesBack.size ?? 0) > 0);
}

/** What an intent moved by the rules that another gives back. */
interface Moved {
  readonly byAccount: Map<bigint, bigint>;
  readonly byLedger: Map<number, bigint>;
}

/** What is given back goes to the wallet of a stored intent, within what that intent moved by the rules in question. */
export function checkGivenBack(chart: Chart, intent: Intent, corrected: Intent | undefined): void {
  const first = intent.postings.findIndex(
    ({ code }) => (chart.rule(code)?.givesBack.size ?? 0) > 0,
  );
  const name = chart.rule(intent.postings[first]?.code ?? 0)?.name ?? "";
  if (corrected === undefined)
    throw notAllowed(first, `${name} needs \`corrects\` to name a stored intent`);
  if (corrected.phase === "PENDING" || corrected.phase === "VOID_PENDING") {
    throw notAllowed(
      first,
      `${name} corrects an intent that moved something, which reserving does not`,
    );
  }
  if (corrected.wallet !== intent.wallet) {
    throw notAllowed(first, `${name} goes to the wallet of the intent that it corrects`);
  }
  const moved = new Map<number, Moved>();
  for (const [index, posting] of intent.postings.entries()) {
    const rule = chart.rule(posting.code);
    if (rule === undefined || rule.givesBack.size === 0 || isPassedOn(chart, posting)) continue;
    const within = moved.get(rule.code) ?? movedBy(rule, corrected);
    moved.set(rule.code, within);
    checkPosting(chart, { intent, posting, index, rule, within });
  }
}

/** What only passes on what a posting before it gave back is bounded by that. */
function isPassedOn(chart: Chart, posting: Posting): boolean {
  const { code, debitAccountId, creditAccountId, ledger } = posting;
  return chart.way(code, debitAccountId, creditAccountId, ledger)?.way.onlyCovered === true;
}

function movedBy({ givesBack: codes }: BookRule, corrected: Intent): Moved {
  const moved: Moved = { byAccount: new Map(), byLedger: new Map() };
  for (const { code, creditAccountId, ledger, amount } of corrected.postings) {
    if (!codes.has(code)) continue;
    add(moved.byAccount, creditAccountId, amount);
    add(moved.byLedger, ledger, amount);
  }
  return moved;
}

interface Given {
  readonly intent: Intent;
  readonly posting: Posting;
  readonly index: number;
  readonly rule: BookRule;
  readonly within: Moved;
}

function checkPosting(chart: Chart, { intent, posting, index, rule, within }: Given): void {
  const { debitAccountId, creditAccountId, ledger, amount } = posting;
  const credited = chart.walletClass(creditAccountId);
  if (
    credited !== undefined &&
    creditAccountId !== walletAccountOf(intent.wallet, ledger, credited.code)
  ) {
    throw notAllowed(index, `${rule.name} goes to the wallet of the intent that it corrects`);
  }
  // From where the corrected intent put it, no more than it put there; from elsewhere, no more than it moved in all.
  const isCounter = [...rule.givesBack].some((code) =>
    chart.ways(code, ledger).some(({ credit }) => stands(credit, debitAccountId)),
  );
  const isWithin =
    take(within.byLedger, ledger, amount) &&
    (!isCounter || take(within.byAccount, debitAccountId, amount));
  if (!isWithin)
    throw notAllowed(index, `${rule.name} stays within what the corrected intent moved`);
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
