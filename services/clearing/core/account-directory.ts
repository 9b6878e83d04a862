import { chartAccounts } from "#common/ledger/chart.ts";
import type { Attempt } from "./attempt.ts";
import type { ClearingLedger } from "./ports.ts";

/** Which accounts exist, and in which asset. Accounts are never deleted, so what was once seen need not be looked up again. */
export interface AccountDirectory {
  /** The ledger of each account that exists; an unknown account is left out. LEDGER_UNAVAILABLE. */
  ledgersOf(ids: readonly bigint[], attempt: Attempt): Promise<ReadonlyMap<bigint, number>>;
  /** Takes notice of an account. */
  add(id: bigint, ledger: number): void;
  /** Looks it up again next time. */
  forget(id: bigint): void;
}

/** Bounds the memory at some 20 MB; the oldest goes first. */
const knownMax = 200_000;

/** The directory over a ledger; it knows the chart, which is created at the start, from the beginning. */
export function createAccountDirectory(ledger: ClearingLedger): AccountDirectory {
  const chart = new Map(chartAccounts.map((account) => [account.id, account.ledger]));
  const known = new Map<bigint, number>();
  const add = (id: bigint, ofLedger: number) => {
    if (known.size >= knownMax) {
      const oldest = known.keys().next();
      if (!oldest.done) known.delete(oldest.value);
    }
    known.set(id, ofLedger);
  };
  return {
    async ledgersOf(ids, attempt) {
      const found = new Map<bigint, number>();
      const unknown: bigint[] = [];
      for (const id of ids) {
        const ofLedger = chart.get(id) ?? known.get(id);
        if (ofLedger === undefined) unknown.push(id);
        else found.set(id, ofLedger);
      }
      if (unknown.length === 0) return found;
      for (const account of await ledger.accounts(unknown, attempt)) {
        add(account.id, account.ledger);
        found.set(account.id, account.ledger);
      }
      return found;
    },
    add,
    forget: (id) => void known.delete(id),
  };
}
