import type { ReadOnlyClient } from "#common/tigerbeetle/read-only-client.ts";
import { sumsAt } from "../ledger/balances.ts";
import { createReservations } from "../ledger/reservations.ts";
import { createLedgerEngine } from "../ledger/tigerbeetle.ts";
import type { LedgerAccount } from "./event.ts";
import type { ReadSumsAt } from "./event-balances.ts";

/** Reads balances as of an instant the way the Ledger does: one truth for both. */
export function createReadSumsAt(client: ReadOnlyClient, batchMax: number): ReadSumsAt {
  const { reader } = createLedgerEngine(client, { batchMax });
  const reservations = createReservations();
  return (accounts, instant, signal) =>
    sumsAt({ reader: reader(signal), reservations }, accounts.map(toRecord), instant);
}

function toRecord({ id, ledger, code, closed, timestamp }: LedgerAccount) {
  return { id, ledger, code, wallet: "", closed, timestamp };
}
