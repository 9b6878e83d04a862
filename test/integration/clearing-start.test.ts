import { AccountFlags, type Client, TransferFlags } from "tigerbeetle-node";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openClient } from "#common/tigerbeetle/open-client.ts";
import { emptyAccount, emptyTransfer } from "../../engine/testing/empty-rows.ts";
import { fenceAccountId } from "../../services/clearing/drivers/tigerbeetle.ts";
import {
  type ClearingWorld,
  chart,
  clearOne,
  newKey,
  operator,
  posting,
  refusalOf,
  soon,
  startClearingWorld,
} from "../support/clearing/world.ts";
import { describeOnEngines } from "../support/ledger/tigerbeetle.ts";
import { openDatabase } from "../support/postgres/database.ts";
import type { TestDatabase } from "../support/postgres/postgres.ts";

// Goal: the chart of accounts is there when Clearing serves, or it does not serve and says why. Method: accounts are
// put into an empty ledger past Clearing, before it starts.
describeOnEngines("The start of Clearing", (engine) => {
  let records: TestDatabase;
  let world: ClearingWorld;
  let client: Client;

  beforeEach(async () => {
    // Records of its own for each ledger: those of another one would stop the start.
    records = await openDatabase();
    world = await startClearingWorld(engine, records.databaseUrl);
    client = await openClient(world.engine.config);
  });
  afterEach(async () => {
    client?.destroy();
    await world?.close();
    await records?.stop();
  });

  const account = (id: bigint, code: number, flags: number) => ({
    ...emptyAccount(id),
    ledger: 1,
    code,
    flags,
  });

  it("finds its own chart again", async () => {
    await world.openReplica();
    const replica = await world.openReplica();
    const { flags } = (await client.lookupAccounts([chart.milk]))[0] ?? {};
    expect(flags).toBe(AccountFlags.history | AccountFlags.debits_must_not_exceed_credits);
    await replica.clearing.openWallet(newKey().address, 1, operator, soon());
  });

  it("stops at an account that is not the chart's, and names it", async () => {
    await client.createAccounts([account(chart.milk, 40, AccountFlags.history)]);
    await expect(world.openReplica()).rejects.toThrow(
      "account 4000001 (MILK_OBLIGATION, ledger 1) stands in the ledger otherwise than in the chart",
    );
  });

  it("stops if the account exists that fences rely on to be absent", async () => {
    await client.createAccounts([account(fenceAccountId, 10, AccountFlags.none)]);
    await expect(world.openReplica()).rejects.toThrow(`account ${fenceAccountId} exists`);
  });

  it("goes on beside an account that was closed, and refuses what would move it", async () => {
    await world.openReplica();
    const [closed] = await client.createTransfers([
      {
        ...emptyTransfer(17n),
        debit_account_id: chart.instacart,
        credit_account_id: chart.cash,
        ledger: 1,
        code: 9,
        flags: TransferFlags.pending | TransferFlags.closing_debit,
      },
    ]);
    expect(closed?.timestamp).toBeGreaterThan(0n);
    const replica = await world.openReplica();
    const adjustment = world.attest(
      world.intent({
        reference: "adjust",
        postings: [posting(chart.instacart, chart.cash, 5n, 9)],
      }),
    );
    expect(await refusalOf(replica, adjustment)).toMatchObject({
      kind: "ACCOUNT_CLOSED",
      message: "INSTACART_CLEARING is closed",
      metadata: { accountId: chart.instacart.toString(), leg: "0" },
    });
    expect(await refusalOf(replica, adjustment)).toMatchObject({
      kind: "INTENT_FAILED",
      metadata: { firstReason: "ACCOUNT_CLOSED" },
    });
    const key = newKey();
    await replica.clearing.openWallet(key.address, 1, operator, soon());
    expect((await clearOne(replica, world.funding(key.address, 5n))).state).toBe("CLEARED");
  });
});
