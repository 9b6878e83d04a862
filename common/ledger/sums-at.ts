import type { AccountRecord, BalanceRecord, LedgerReader } from "./reader.ts";
import type { ReservationReader, Reservations } from "./reservations.ts";

/** The four sums of an account at one instant, minor units. */
export interface Sums {
  readonly debitsPosted: bigint;
  readonly creditsPosted: bigint;
  readonly debitsPending: bigint;
  readonly creditsPending: bigint;
}

/** The sums of an account before its first transfer. */
export const zeroSums: Sums = {
  debitsPosted: 0n,
  creditsPosted: 0n,
  debitsPending: 0n,
  creditsPending: 0n,
};

/** How many accounts are asked about at once: enough to fill the engine's requests, few enough to answer in time. */
const accountsMax = 512;
/** How many accounts' reservations are looked for at once. Each may take a few thousand rows of memory. */
const searchesMax = 64;

/**
 * The sums of accounts that existed at an instant, in their order. Posted sums are those of the account's last
 * history row; one row for each account costs the engine little, because its client asks for many at once.
 */
export async function sumsAt(
  view: { readonly reader: ReservationReader; readonly reservations: Reservations },
  accounts: readonly Pick<AccountRecord, "id">[],
  instant: bigint,
): Promise<Sums[]> {
  const { reader, reservations } = view;
  const rows = await mapInGroups(accounts, accountsMax, ({ id }) => lastRow(reader, id, instant));
  const reserved = rows.flatMap((row, index) => {
    const account = accounts[index];
    const holds = row !== undefined && (row.debitsPending > 0n || row.creditsPending > 0n);
    return holds && account !== undefined ? [{ accountId: account.id, row }] : [];
  });
  const pending = await mapInGroups(reserved, searchesMax, ({ accountId, row }) =>
    reservations.pendingAt(reader, accountId, row, instant),
  );
  const byRow = new Map(reserved.map(({ row }, index) => [row, pending[index]]));
  return rows.map((row) => {
    if (row === undefined) return zeroSums;
    const { debits = 0n, credits = 0n } = byRow.get(row) ?? {};
    return { ...row, debitsPending: debits, creditsPending: credits };
  });
}

async function mapInGroups<Item, Result>(
  items: readonly Item[],
  groupMax: number,
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  for (let first = 0; first < items.length; first += groupMax) {
    results.push(...(await Promise.all(items.slice(first, first + groupMax).map(work))));
  }
  return results;
}

/** The account's last history row at or before an instant, nanoseconds. */
export async function lastRow(
  reader: Pick<LedgerReader, "newestBalances">,
  accountId: bigint,
  instant: bigint,
): Promise<BalanceRecord | undefined> {
  const [row] = await reader.newestBalances(accountId, { from: 1n, to: instant, limit: 1 });
  return row;
}
