import { join } from "node:path";
import { type Client, CreateTransferStatus, type Transfer, TransferFlags } from "tigerbeetle-node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { attachEmbeddedClient, createEmbeddedClient, type EmbeddedClient } from "./client.ts";
import { emptyAccount, emptyTransfer } from "./testing/empty-rows.ts";
import { temporaryFolder } from "./testing/engines.ts";

describe("a client that others share", { timeout: 60_000 }, () => {
  let folder: ReturnType<typeof temporaryFolder>;
  let client: EmbeddedClient;
  const attached: Client[] = [];

  const attach = (): Client => {
    const other = attachEmbeddedClient(client.share());
    attached.push(other);
    return other;
  };
  const range = (from: bigint, count: number) =>
    Array.from({ length: count }, (_, i) => ({
      ...emptyTransfer(from + BigInt(i)),
      debit_account_id: 1n,
      credit_account_id: 2n,
      amount: 1n,
      ledger: 1,
      code: 1,
    }));
  const closed = { name: "RequestError", message: "Client was closed." };
  const stopped = { name: "EmbeddedLedgerError", code: "ERR_EMBEDDED_STOPPED" };

  beforeEach(async () => {
    folder = temporaryFolder();
    client = createEmbeddedClient({ path: join(folder.path, "ledger.db"), clusterId: 5n });
    await client.createAccounts(
      [1n, 2n].map((id) => ({ ...emptyAccount(id), ledger: 1, code: 1 })),
    );
  });
  afterEach(() => {
    for (const other of attached.splice(0)) other.destroy();
    client.destroy();
    folder.remove();
  });

  it("answers each with what its calls asked for", async () => {
    const [one, two] = [attach(), attach()];
    const writers = [client, one, two];
    const calls = Array.from({ length: 60 }, (_, i) => range(BigInt(1000 + i * 10), 1 + (i % 3)));
    const answers = await Promise.all(
      calls.map((batch, i) => (writers[i % 3] as Client).createTransfers(batch)),
    );
    for (const [i, results] of answers.entries()) {
      expect(results.map(({ status }) => status)).toEqual(
        calls[i]?.map(() => CreateTransferStatus.created),
      );
    }
    const ids = calls.flat().map(({ id }) => id);
    const found = await two.lookupTransfers(ids);
    expect(found.map(({ id }) => id)).toEqual(ids);
    expect(found.map(({ timestamp }) => timestamp)).toEqual(
      answers.flat().map(({ timestamp }) => timestamp),
    );
    const [again] = await one.createTransfers(range(1000n, 1));
    expect(again?.status).toBe(CreateTransferStatus.exists);
    const [debited] = await one.lookupAccounts([1n]);
    expect(debited?.debits_posted).toBe(BigInt(ids.length));
  });

  it("takes turns with them", async () => {
    const other = attach();
    const order: string[] = [];
    // Made before the first call, and many: on a busy machine some are over before the last call is made.
    const batches = Array.from({ length: 12 }, (_, n) => range(BigInt(n + 1) * 10_000n, 3_000));
    const call = (batch: Transfer[], index: number) =>
      index < 10
        ? client.createTransfers(batch).then(() => order.push("own"))
        : other.createTransfers(batch).then(() => order.push("other"));
    await Promise.all(batches.map(call));
    // In the order in which they came, the others would be last.
    expect(order.filter((whose) => whose === "other")).toHaveLength(2);
    expect(order.lastIndexOf("other")).toBeLessThan(11);
  });

  it("passes on the engine's errors as they are", async () => {
    const imported = range(1n, 1).map((transfer) => ({
      ...transfer,
      flags: TransferFlags.imported,
    }));
    await expect(attach().createTransfers(imported)).rejects.toMatchObject({
      name: "EmbeddedLedgerError",
      code: "ERR_EMBEDDED_IMPORTED_REFUSED",
    });
  });

  it("fails what waits, and every later call, once it is closed", async () => {
    const other = attach();
    const waiting = [other.createTransfers(range(1n, 1)), other.lookupAccounts([1n])];
    client.destroy();
    for (const { reason } of (await Promise.allSettled(waiting)) as PromiseRejectedResult[]) {
      expect(reason).toMatchObject(stopped);
    }
    await expect(other.lookupAccounts([1n])).rejects.toMatchObject(stopped);
    other.destroy();
    await expect(other.lookupAccounts([1n])).rejects.toMatchObject(closed);
    expect(() => client.share()).toThrow(closed.message);
  });

  it("goes on when one of them is closed in the middle of its calls", async () => {
    const [one, two] = [attach(), attach()];
    const lost = one.createTransfers(range(1n, 100));
    one.destroy();
    await expect(lost).rejects.toMatchObject(closed);
    const [result] = await two.createTransfers(range(1000n, 1));
    expect(result?.status).toBe(CreateTransferStatus.created);
    expect(await client.lookupTransfers([1000n])).toHaveLength(1);
  });
});
