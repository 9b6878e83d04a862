import { raceDeadline } from "#common/deadline.ts";
import {
  accountClasses,
  type ChartAccount,
  chartAccounts,
  classRules,
} from "#common/ledger/chart.ts";
import { Attempt } from "./attempt.ts";
import type { ClearingLedger } from "./ports.ts";

export interface OpenChartOptions {
  /** The account that fences debit: it must not exist. */
  readonly fenceAccountId: bigint;
  /** How long the ledger may take, in milliseconds. */
  readonly timeoutMs: number;
  /** Hears of an account that is there and closed. Somebody closed it on purpose, so the start goes on. */
  readonly onClosed: (account: ChartAccount) => void;
}

/** The ledger did not answer in time. */
export class ChartTimeoutError extends Error {
  override readonly name = "ChartTimeoutError";
}

/**
 * Creates the accounts of the chart that are not there yet. Throws Error that names an account which stands in the
 * ledger otherwise than in the chart: postings to it would not mean what they say. Throws ChartTimeoutError.
 */
export async function openChart(ledger: ClearingLedger, options: OpenChartOptions): Promise<void> {
  const attempt = new Attempt();
  const limit = { deadlineMs: Date.now() + options.timeoutMs };
  const work = Promise.all([
    ledger.accounts([options.fenceAccountId], attempt),
    ...chartAccounts.map((account) => openAccount(ledger, account, options)),
  ]);
  const [[fenceAccount]] = await raceDeadline(
    work,
    limit,
    () => new ChartTimeoutError(`the ledger did not answer within ${options.timeoutMs} ms`),
  );
  if (fenceAccount === undefined) return;
  throw new Error(`account ${fenceAccount.id} exists, and fences rely on that it does not`);
}

async function openAccount(
  ledger: ClearingLedger,
  account: ChartAccount,
  options: OpenChartOptions,
): Promise<void> {
  const outcome = await ledger.open(
    {
      id: account.id,
      ledger: account.ledger,
      code: accountClasses[account.class],
      neverOverdrawn: classRules[account.class].neverOverdrawn,
      wallet: undefined,
    },
    new Attempt(),
  );
  if (outcome === "CLOSED") options.onClosed(account);
  if (outcome !== "OTHER_CONTENT") return;
  throw new Error(
    `account ${account.id} (${account.name}, ledger ${account.ledger}) stands in the ledger otherwise than in the chart`,
  );
}
