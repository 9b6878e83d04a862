import { createLedgerEngine } from "#common/ledger/drivers/tigerbeetle.ts";
import { createReservations } from "#common/ledger/reservations.ts";
import { sumsAt } from "#common/ledger/sums-at.ts";
import type { ReadOnlyClient } from "#common/tigerbeetle/read-only-client.ts";
import type { ReadSumsAt } from "../serve/balances.ts";

/** Reads balances as of an instant the way the Ledger does: one truth for both. */
export function createReadSumsAt(client: ReadOnlyClient, batchMax: number): ReadSumsAt {
  const { reader } = createLedgerEngine(client, { batchMax });
  const reservations = createReservations();
  return (accounts, instant, signal) =>
    sumsAt({ reader: reader(signal), reservations }, accounts, instant);
}
