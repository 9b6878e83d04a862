import type { AttestedIntent, Intent } from "#common/intent/intent.ts";
import {
  type CommittedTransfer,
  type TransferRow,
  transferRows,
} from "#common/ledger/transfer-rows.ts";
import type {
  LedgerAccount,
  LedgerReads,
  RecordsReads,
} from "../../../services/eventstream/read/event.ts";
import { attest } from "../intents/intents.ts";

/**
 * A ledger and its records as arrays, with a clock that the test turns: for what takes exact timestamps, which no
 * real engine lets one choose. It knows no rules: it holds what it is told.
 */
export class ArrayLedger {
  readonly transfers: CommittedTransfer[] = [];
  readonly accounts: LedgerAccount[] = [];
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

  reads(rowsMax: number): LedgerReads {
    const ask = async <T>(answer: () => T): Promise<T> => {
      this.requests += 1;
      this.onRequest();
      if (this.ledgerError !== undefined) throw this.ledgerError;
      return answer();
    };
    return {
      rowsMax,
      clusterTime: () => ask(() => this.now),
      transfersFrom: (min, limit) => ask(() => from(this.transfers, min).slice(0, limit)),
      transfersBackFrom: (max, limit) =>
        ask(() =>
          this.transfers
            .filter(({ timestamp }) => timestamp <= max)
            .reverse()
            .slice(0, limit),
        ),
      accountsFrom: (min, limit) => ask(() => from(this.accounts, min).slice(0, limit)),
      transfersOfAccount: (accountId, min, max, limit) =>
        ask(() =>
          from(this.transfers, min)
            .filter(({ timestamp }) => timestamp <= max)
            .filter((row) => row.debitAccountId === accountId || row.creditAccountId === accountId)
            .slice(0, limit),
        ),
      transfersById: (ids) => ask(() => this.transfers.filter(({ id }) => ids.includes(id))),
      accountsById: (ids) => ask(() => this.accounts.filter(({ id }) => ids.includes(id))),
    };
  }

  get records(): RecordsReads {
    const ask = async <T>(answer: () => T): Promise<T> => {
      if (this.recordsError !== undefined) throw this.recordsError;
      return answer();
    };
    const prefixOf = ({ attestation }: AttestedIntent) => attestation.digest.slice(0, 50);
    return {
      evidenceByPrefix: (prefixes) =>
        ask(
          () =>
            new Map(
              this.evidence
                .filter((item) => prefixes.includes(prefixOf(item)))
                .map((item) => [prefixOf(item), item]),
            ),
        ),
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

function from<Row extends { readonly timestamp: bigint }>(rows: readonly Row[], min: bigint) {
  return rows.filter(({ timestamp }) => timestamp >= min);
}

/** An account that was opened at a timestamp. */
export function accountAt(id: bigint, timestamp: bigint): LedgerAccount {
  return {
    id,
    ledger: 1,
    code: 20,
    userData128: 0n,
    userData32: 0,
    closed: false,
    debitsPosted: 0n,
    creditsPosted: 0n,
    debitsPending: 0n,
    creditsPending: 0n,
    timestamp,
  };
}
