import { DomainError, invalidField } from "#common/domain-error.ts";
import type { Intent, Posting } from "#common/intent/intent.ts";
import type { BookRule } from "../book.ts";
import type { Chart } from "./chart-of.ts";
import { notAllowed } from "./refusals.ts";

/** One posting for itself: known accounts of the posting's asset, on sides that its rule allows. */
export function checkWay(chart: Chart, intent: Intent, posting: Posting, index: number): void {
  const { code, debitAccountId, creditAccountId, ledger } = posting;
  if (debitAccountId === creditAccountId) {
    throw invalidField(
      `intent.postings[${index}].credit_account_id`,
      "posting.accounts_differ",
      "must be another account than the debited one",
    );
  }
  const rule = chart.rule(code);
  if (rule === undefined) throw notAllowed(index, `there is no posting rule ${code}`);
  checkAccount(chart, posting, debitAccountId, index);
  checkAccount(chart, posting, creditAccountId, index);
  const found = chart.way(code, debitAccountId, creditAccountId, ledger);
  if (found === undefined) throw notAllowed(index, rule.says);
  checkIntent(chart, rule, intent, index);
}

function checkAccount(chart: Chart, posting: Posting, accountId: bigint, index: number): void {
  if (chart.walletClass(accountId) !== undefined) return;
  const found = chart.account(accountId);
  if (found === undefined)
    throw notAllowed(index, `account ${accountId} is not in the chart of accounts`);
  const { account, ledger } = found;
  if (ledger !== posting.ledger) {
    const field = `intent.postings[${index}]`;
    throw new DomainError(
      "LEDGERS_DIFFER",
      `${field}: ${account.name} (${accountId}) belongs to ledger ${ledger}, the posting to ${posting.ledger}`,
      { metadata: { field, ledger: String(posting.ledger), accountLedger: String(ledger) } },
    );
  }
  if (account.retired) throw notAllowed(index, `${account.name} is retired`);
}

/** What a rule asks of the whole intent. */
function checkIntent(chart: Chart, rule: BookRule, intent: Intent, index: number): void {
  if (rule.needsReference && !intent.corrects && !intent.reference) {
    throw notAllowed(index, `${rule.name} needs \`corrects\` or \`reference\``);
  }
  if (rule.corrects === "NONE" && intent.corrects) {
    throw notAllowed(index, `${rule.name} corrects nothing`);
  }
  if (rule.corrects === "REQUIRED" && rule.givesBack.size === 0 && !intent.corrects) {
    throw notAllowed(index, `${rule.name} needs \`corrects\``);
  }
  const { merchants } = chart.book;
  if (merchants.length === 0 || intent.merchantId === "") return;
  if (!rule.namesMerchant) throw notAllowed(index, `${rule.name} names no merchant`);
  if (!merchants.some(({ id }) => id === intent.merchantId)) {
    throw notAllowed(index, `there is no merchant ${intent.merchantId}`);
  }
}
