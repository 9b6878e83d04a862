import type { AttestedIntent, Intent } from "#common/intent/intent.ts";
import type {
  AccountRecord,
  LedgerReader,
  Range,
  TransferPredicate,
} from "#common/ledger/reader.ts";
import {
  type CommittedTransfer,
  type TransferRow,
  transferRows,
} from "#common/ledger/transfer-rows.ts";
import type { RecordsReads } from "../../../services/eventstream/read/event.ts";
import { attest } from "../intents/intents.ts";

/**
 * A ledger and its records as arrays, with a clock that the test turns: for what takes exact timestamps, which no
 * real engine lets one choose. It knows no rules: it holds what it is told.
 */
export class ArrayLedger {
  readonly transfers: CommittedTransfer[] = [];
  readonly accounts: AccountRecord[] = [];
  readonly evidence: AttestedIntent[] = [];
  /** Nanoseconds. */
  now = 0n;
  /** While set, the records throw it. */
  recordsError: Error | undefined;
  /** While set, the ledger throws it. */
  ledgerError: Error | undefined;
  /** Requests to the ledger so far. */
  requests = 0;
  /** Called when a request comes, before it is answered: what others do between two requests of one reader. */
  onRequest: () => void = () => undefined;

  /** Writes an intent's chain, its last leg at a timestamp, and its evidence. */
  clear(intent: Intent, timestamp: bigint): AttestedIntent {
    const attested = { intent, attestation: attest(intent) };
    this.evidence.push(attested);
    this.write(transferRows(intent, attested.attestation.digest), timestamp);
    return attested;
  }

  /** Writes rows that follow each other by a nanosecond, the last at a timestamp. */
  write(rows: readonly TransferRow[], timestamp: bigint): void {
    const first = timestamp - BigInt(rows.length - 1);
    for (const [index, row] of rows.entries()) {
      this.transfers.push({ ...row, foreignFlags: 0, timestamp: first + BigInt(index) });
    }
    this.transfers.sort((a, b) => (a.timestamp < b.timestamp ? -1 : 1));
    this.tick(timestamp);
  }

  /** Lets time pass to an instant, if it is not later already. */
  tick(timestamp: bigint): void {
    if (timestamp > this.now) this.now = timestamp;
  }

  reads(rowsMax: number): LedgerReader {
    const ask = async <T>(answer: () => T): Promise<T> => {
      this.requests += 1;
      this.onRequest();
      if (this.ledgerError !== undefined) throw this.ledgerError;
      return answer();
    };
    const touches = (which: TransferPredicate) => (row: CommittedTransfer) => {
      if (which === "any") return true;
      if ("code" in which) return row.code === which.code;
      return row.debitAccountId === which.accountId || row.creditAccountId === which.accountId;
    };
    return {
      rowsMax,
      clusterTime: () => ask(() => this.now),
      findAccounts: (ids) => ask(() => byId(this.accounts, ids)),
      findTransfers: (ids) => ask(() => byId(this.transfers, ids)),
      listAccounts: (_, range) => ask(() => within(this.accounts, range).slice(0, range.limit)),
      newestAccounts: (range) =>
        ask(() => within(this.accounts, range).reverse().slice(0, range.limit)),
      listTransfers: (which, range) =>
        ask(() => within(this.transfers, range).filter(touches(which)).slice(0, range.limit)),
      newestTransfers: (which, range) =>
        ask(() =>
          within(this.transfers, range).filter(touches(which)).reverse().slice(0, range.limit),
        ),
      newestBalances: () => ask(() => []),
    };
  }

  get records(): RecordsReads {
    const ask = async <T>(answer: () => T): Promise<T> => {
      if (this.recordsError !== undefined) throw this.recordsError;
      return answer();
    };
    const prefixOf = ({ attestation }: AttestedIntent) => attestation.digest.slice(0, 50);
    return {
      evidence: {
        byPrefixes: (prefixes) =>
          ask(
            () =>
              new Map(
                this.evidence
                  .filter((item) => prefixes.includes(prefixOf(item)))
                  .map((item) => [prefixOf(item), item]),
              ),
          ),
      },
      pendingsOpenAt: (_seconds, after, limit) =>
        ask(() => {
          const pendings = this.evidence.filter(
            ({ intent }) => intent.phase === "PENDING" && intent.timeoutSeconds > 0,
          );
          const first = after === undefined ? 0 : pendings.indexOf(after) + 1;
          return pendings.slice(first, first + limit);
        }),
      resolutionsOf: (ids) =>
        ask(() => this.evidence.filter(({ intent }) => ids.includes(intent.pendingIntentId))),
    };
  }
}

function within<Row extends { readonly timestamp: bigint }>(
  rows: readonly Row[],
  { from, to }: Range,
): Row[] {
  return rows.filter(({ timestamp }) => timestamp >= from && timestamp <= to);
}

function byId<Row extends { readonly id: bigint }>(
  rows: readonly Row[],
  ids: readonly bigint[],
): Map<bigint, Row> {
  return new Map(rows.filter(({ id }) => ids.includes(id)).map((row) => [row.id, row]));
}

/** An account that was opened at a timestamp. */
export function accountAt(id: bigint, timestamp: bigint): AccountRecord {
  return { id, ledger: 1, code: 20, wallet: "", closed: false, timestamp };
}
