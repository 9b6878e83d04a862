import { postingName } from "#common/intent/posting-rules.ts";
import { findAsset, formatAmount } from "#common/ledger/assets.ts";
import { findChartAccount } from "#common/ledger/chart.ts";
import type { CommittedTransfer } from "#common/ledger/transfer-rows.ts";
import type { AuditResult, Progress } from "./audit-ledger.ts";
import type { Finding, FindingClass } from "./finding.ts";

/** What is said also when there is none of it. */
const alwaysTold: readonly FindingClass[] = ["unattested", "altered"];
const toldIfAny: readonly FindingClass[] = [
  "against the rules",
  "incomplete",
  "accounts unknown",
  "accounts altered",
];

/**
 * The result in one line: the transfers, the evidence, the orders, and what is missing of each, such as "12 transfers, 0
 * unattested, 0 altered, balanced; 11 evidence, 0 lost, 2 failed; 3 orders, 0 lost".
 */
export function summaryText(result: AuditResult): string {
  return [
    transfersText(result),
    evidenceText(result),
    ordersText(result),
    ...result.givenUp.map(
      ({ adoptNs, evidence, orderIntents }) =>
        `given up by adoption at ${instantText(adoptNs)}: ${evidence} evidence, ${orderIntents} of orders`,
    ),
  ].join("; ");
}

function transfersText({ transfers, counts, balanced }: AuditResult): string {
  return [
    `${transfers} transfers`,
    ...alwaysTold.map((kindClass) => `${counts[kindClass] ?? 0} ${kindClass}`),
    ...toldIfAny.flatMap((kindClass) => ifAny(counts[kindClass], kindClass)),
    ...(counts["not the records' ledger"] === undefined ? [] : ["not the records' ledger"]),
    balanced ? "balanced" : `not balanced (${counts["out of balance"]} findings)`,
  ].join(", ");
}

function evidenceText({ evidence, evidenceCounts, counts }: AuditResult): string {
  const { failed, alive, neverWritten, inPart } = evidenceCounts;
  return [
    `${evidence} evidence`,
    `${counts["evidence lost"] ?? 0} lost`,
    ...ifAny(inPart, "in part"),
    ...ifAny(counts["evidence contradicted"], "contradicted"),
    ...ifAny(failed, "failed"),
    ...ifAny(alive, "alive"),
    ...ifAny(neverWritten, "never written"),
  ].join(", ");
}

function ordersText({ orders, counts }: AuditResult): string {
  return [
    `${orders} orders`,
    `${counts["orders lost"] ?? 0} lost`,
    ...ifAny(counts["orders contradicted"], "contradicted"),
  ].join(", ");
}

function ifAny(count: number | undefined, what: string): string[] {
  return count === undefined || count === 0 ? [] : [`${count} ${what}`];
}

/** A finding for people, on one line. */
export function findingText(finding: Finding): string {
  const { kind, detail, transfer } = finding;
  return transfer === undefined
    ? `${kind}: ${detail}`
    : `${kind}: ${transferText(transfer)}: ${detail}`;
}

function transferText(transfer: CommittedTransfer): string {
  const { id, ledger, code, phase } = transfer;
  const rule = postingName(code) ?? `code ${code}`;
  const how = phase === "IMMEDIATE" ? rule : `${rule}, ${phase}`;
  const amount =
    findAsset(ledger) === undefined
      ? `${transfer.amount} of ledger ${ledger}`
      : formatAmount(transfer.amount, ledger);
  const accounts = `${accountText(transfer.debitAccountId)} to ${accountText(transfer.creditAccountId)}`;
  return `transfer ${id} of ${instantText(transfer.timestamp)}, ${amount} from ${accounts} (${how})`;
}

function accountText(id: bigint): string {
  return findChartAccount(id)?.name ?? String(id);
}

/** An instant to the nanosecond, RFC 3339. */
export function instantText(nanoseconds: bigint): string {
  const seconds = new Date(Number(nanoseconds / 1_000_000_000n) * 1_000).toISOString();
  const fraction = (nanoseconds % 1_000_000_000n).toString().padStart(9, "0");
  return seconds.replace("000Z", `${fraction}Z`);
}

/** A finding for programs; u128 and nanoseconds are decimal strings. */
export function findingJson(finding: Finding): string {
  return JSON.stringify({ finding }, bigintsAsText);
}

/** The result for programs. */
export function summaryJson(result: AuditResult, seconds: number): string {
  return JSON.stringify({ summary: { ...result, seconds } }, bigintsAsText);
}

function bigintsAsText(_: string, value: unknown): unknown {
  return typeof value === "bigint" ? value.toString() : value;
}

/** How far it is, for a terminal. `rate`: transfers a second. */
export function progressText(progress: Progress, rate: number): string {
  const { transfers, share, evidence, orders } = progress;
  const percent = `${(share * 100).toFixed(1)} %`.padStart(7);
  const read = `${percent}  ${whole.format(transfers)} transfers`;
  if (evidence === undefined || orders === undefined) return `${read}  ${whole.format(rate)}/s`;
  return `${read}  ${whole.format(evidence)} evidence  ${whole.format(orders)} orders`;
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
