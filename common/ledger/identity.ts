import { chartAccounts } from "./chart.ts";
import { endOfTime, type LedgerReader } from "./reader.ts";

/** Which ledger the records belong to. */
export interface LedgerIdentity {
  /** u128. */
  readonly clusterId: bigint;
  /** An account of the chart. */
  readonly birthAccountId: bigint;
  /** When that was opened, nanoseconds: no other ledger has it. Undefined until an adopted empty ledger has its chart. */
  readonly birthTimestamp: bigint | undefined;
  /** Of the newest committed transfer or account that Clearing has seen, nanoseconds; 0 for none. */
  readonly highWaterMark: bigint;
}

/** The account that tells when a ledger was born. A row that names another one goes by that. */
export const birthAccountId = chartAccounts[0]?.id ?? 0n;

/** What there is of a ledger's identity in the ledger itself. */
export interface LedgerSigns {
  readonly clusterId: bigint;
  /** When the account of birth was opened; undefined if it does not exist. */
  readonly birthTimestamp: bigint | undefined;
  /** Of the newest transfer; 0 if there is none. */
  readonly newestTransfer: bigint;
  /** Of the newest transfer or account; 0 if there is neither. */
  readonly newest: bigint;
  /**
   * Whether the row of the mark is there: a ledger that was put back and has gone on since is newer than the mark, and
   * still lacks it. True for a mark of 0.
   */
  readonly holdsMark: boolean;
}

/** What the signs are looked for by. */
export type IdentityMarks = Pick<LedgerIdentity, "birthAccountId" | "highWaterMark">;

/** Where the records name no identity yet. */
export const noMarks: IdentityMarks = { birthAccountId, highWaterMark: 0n };

/** Reads the signs. LEDGER_UNAVAILABLE. */
export async function readLedgerSigns(
  reader: LedgerReader,
  clusterId: bigint,
  { birthAccountId: accountId, highWaterMark }: IdentityMarks,
): Promise<LedgerSigns> {
  const newest = { from: 1n, to: endOfTime, limit: 1 };
  const [accounts, [transfer], [account], holdsMark] = await Promise.all([
    reader.findAccounts([accountId]),
    reader.newestTransfers("any", newest),
    reader.newestAccounts(newest),
    holdsRow(reader, highWaterMark),
  ]);
  const newestTransfer = transfer?.timestamp ?? 0n;
  const newestAccount = account?.timestamp ?? 0n;
  return {
    clusterId,
    birthTimestamp: accounts.get(accountId)?.timestamp,
    newestTransfer,
    newest: newestTransfer > newestAccount ? newestTransfer : newestAccount,
    holdsMark: highWaterMark === 0n || holdsMark,
  };
}

/** Whether a transfer or an account is of this very nanosecond, as no two rows of a ledger are. LEDGER_UNAVAILABLE. */
export async function holdsRow(reader: LedgerReader, timestamp: bigint): Promise<boolean> {
  const range = { from: timestamp, to: timestamp, limit: 1 };
  const [transfers, accounts] = await Promise.all([
    reader.listTransfers("any", range),
    reader.listAccounts("any", range),
  ]);
  return transfers.length + accounts.length > 0;
}

/** What to do about a ledger and records that do not belong together. */
export const identityRemedy =
  "bring back the ledger and the records that belong together; ./mesh ledger adopt gives up what is missing";

/**
 * Why a ledger is not the one that the records belong to, with both values; undefined if it is. `identity` must have
 * been read before the signs were, or what came between them looks lost.
 */
export function identityFault(identity: LedgerIdentity, signs: LedgerSigns): string | undefined {
  if (identity.clusterId !== signs.clusterId) {
    return `the records belong to cluster ${identity.clusterId}, and this is cluster ${signs.clusterId}`;
  }
  const { birthTimestamp, birthAccountId: account, highWaterMark } = identity;
  if (birthTimestamp !== undefined && birthTimestamp !== signs.birthTimestamp) {
    const here =
      signs.birthTimestamp === undefined
        ? "this ledger does not have it: it is empty, or another one"
        : `in this one at ${nanosecondsText(signs.birthTimestamp)}: it is another one`;
    return `in the ledger that the records belong to account ${account} was opened at ${nanosecondsText(birthTimestamp)}, ${here}`;
  }
  if (signs.newest < highWaterMark) {
    return `the newest row of this ledger is of ${nanosecondsText(signs.newest)}, and one of ${nanosecondsText(highWaterMark)} was seen: it is an old copy, or was rolled back`;
  }
  if (!signs.holdsMark) {
    return `a row of ${nanosecondsText(highWaterMark)} was seen and is not in this ledger, whose newest is of ${nanosecondsText(signs.newest)}: it was rolled back, and has gone on since`;
  }
  return undefined;
}

/** Nanoseconds since 1970 for people, and as the number that a program needs. */
export function nanosecondsText(timestamp: bigint): string {
  if (timestamp === 0n) return "never";
  return `${new Date(Number(timestamp / 1_000_000n)).toISOString()} (${timestamp})`;
}
