import { type Account, AccountFilterFlags, AccountFlags } from "tigerbeetle-node";
import { raceDeadline } from "#common/deadline.ts";
import { endOfTime } from "#common/ledger/reader.ts";
import type { ReadOnlyClient } from "#common/tigerbeetle/read-only-client.ts";
import { everythingIn, parseTransfer } from "#common/tigerbeetle/transfer-codec.ts";
import { Problem } from "../command/problem.ts";
import type { AccountRow, AuditLedger } from "./ports.ts";

/** How long one request may take, in milliseconds: the client itself waits for ever. */
export const ledgerAnswerMs = 30_000;
/** Requests for one account's history that wait in the client at once. */
const historyMax = 512;

/** The ledger as an audit reads it. A request that is not answered in half a minute is a Problem. */
export function createAuditLedger(client: ReadOnlyClient, rowsMax: number): AuditLedger {
  const historyTurns = limitConcurrency(historyMax);
  return {
    rowsMax,
    instant: () => answered(client.clusterTime()),
    async transfers(from, to) {
      if (from > to) return [];
      return (
        await answered(
          client.queryTransfers(
            everythingIn({ timestampMin: from, timestampMax: to, limit: rowsMax }),
          ),
        )
      ).map(parseTransfer);
    },
    async accounts(from, to) {
      if (from > to) return [];
      return (
        await answered(
          client.queryAccounts(
            everythingIn({ timestampMin: from, timestampMax: to, limit: rowsMax }),
          ),
        )
      ).map(parseAccount);
    },
    history: (accountId, to) =>
      historyTurns(async () => {
        const [row] = await answered(
          client.getAccountBalances({
            account_id: accountId,
            user_data_128: 0n,
            user_data_64: 0n,
            user_data_32: 0,
            code: 0,
            timestamp_min: 0n,
            timestamp_max: to === endOfTime ? 0n : to,
            limit: 1,
            flags:
              AccountFilterFlags.debits | AccountFilterFlags.credits | AccountFilterFlags.reversed,
          }),
        );
        return row && { ...sums(row), timestamp: row.timestamp };
      }),
  };
}

function answered<T>(request: Promise<T>): Promise<T> {
  const late = () => new Problem(`the ledger did not answer within ${ledgerAnswerMs / 1_000} s`);
  return raceDeadline(request, { deadlineMs: Date.now() + ledgerAnswerMs }, late);
}

/** Runs at most `max` at once, in the order in which they were asked for. */
function limitConcurrency(max: number) {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (running >= max) await new Promise<void>((resolve) => waiting.push(resolve));
    else running += 1;
    try {
      return await work();
    } finally {
      // A turn is handed on, so the number of those that run stays.
      const next = waiting.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
}

// `closed` comes and goes with transfers; those are what an audit finds. `linked` says how it was created, no more.
const knownAccountFlags =
  AccountFlags.debits_must_not_exceed_credits |
  AccountFlags.history |
  AccountFlags.closed |
  AccountFlags.linked;

function parseAccount(row: Account): AccountRow {
  return {
    ...sums(row),
    id: row.id,
    ledger: row.ledger,
    code: row.code,
    userData128: row.user_data_128,
    userData64: row.user_data_64,
    userData32: row.user_data_32,
    neverOverdrawn: (row.flags & AccountFlags.debits_must_not_exceed_credits) !== 0,
    history: (row.flags & AccountFlags.history) !== 0,
    foreignFlags: row.flags & ~knownAccountFlags,
    timestamp: row.timestamp,
  };
}

function sums(
  row: Pick<Account, "debits_posted" | "credits_posted" | "debits_pending" | "credits_pending">,
) {
  return {
    debitsPosted: row.debits_posted,
    creditsPosted: row.credits_posted,
    debitsPending: row.debits_pending,
    creditsPending: row.credits_pending,
  };
}
