import { join } from "node:path";
import { type Client, CreateTransferStatus, type Transfer, TransferFlags } from "tigerbeetle-node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createEmbeddedClient } from "./client.ts";
import { emptyAccount, emptyTransfer } from "./testing/empty-rows.ts";
import { temporaryFolder } from "./testing/engines.ts";

const SECOND = 1_000_000_000n;
const START = 1_800_000_000n * SECOND;
const { pending, post_pending_transfer } = TransferFlags;

describe("time", () => {
  let folder: ReturnType<typeof temporaryFolder>;
  let clock: BigInt64Array;
  let client: Client;

  const open = (): Client =>
    createEmbeddedClient({
      path: join(folder.path, "ledger.db"),
      clusterId: 1n,
      clock: clock.buffer as SharedArrayBuffer,
    });
  const transfer = (id: bigint, fields: Partial<Transfer>): Transfer => ({
    ...emptyTransfer(id),
    debit_account_id: 1n,
    credit_account_id: 2n,
    ledger: 1,
    code: 1,
    ...fields,
  });
  const send = async (event: Transfer): Promise<[keyof typeof CreateTransferStatus, bigint]> => {
    const [result] = await client.createTransfers([event]);
    if (!result) throw new Error("no result");
    const name = CreateTransferStatus[result.status] as keyof typeof CreateTransferStatus;
    return [name, result.timestamp];
  };
  const probe = async (): Promise<bigint> => (await send(emptyTransfer(0n)))[1];
  const debitsPending = async (): Promise<bigint | undefined> =>
    (await client.lookupAccounts([1n]))[0]?.debits_pending;
  /** Sets the clock so that the next event gets exactly this timestamp. */
  const nextAt = (timestamp: bigint): void => {
    clock[0] = timestamp - 1n;
  };

  beforeEach(async () => {
    folder = temporaryFolder();
    clock = new BigInt64Array(new SharedArrayBuffer(8));
    clock[0] = START;
    client = open();
    await client.createAccounts(
      [1n, 2n].map((id) => ({ ...emptyAccount(id), ledger: 1, code: 1 })),
    );
  });
  afterEach(() => {
    client.destroy();
    folder.remove();
  });

  it("never repeats a timestamp when the clock stands still or steps back, nor after a restart", async () => {
    const seen = [await probe(), await probe()];
    clock[0] = START - 3600n * SECOND;
    seen.push(await probe(), await probe());
    client.destroy();
    client = open();
    seen.push(await probe());
    clock[0] = START + SECOND;
    seen.push(await probe());
    const sorted = [...new Set(seen)].sort((a, b) => (a < b ? -1 : 1));
    expect(seen).toEqual(sorted);
    expect(seen.at(-1)).toBe(START + SECOND + 1n);
  });

  it("lets a pending transfer be posted until just before its expiry", async () => {
    const [, created] = await send(transfer(1n, { amount: 5n, timeout: 7, flags: pending }));
    nextAt(created + 7n * SECOND - 1n);
    const post = transfer(2n, { pending_id: 1n, amount: 5n, flags: post_pending_transfer });
    expect(await send(post)).toEqual(["created", created + 7n * SECOND - 1n]);
  });

  it("refuses at exactly the expiry, and releases the balance", async () => {
    const [, created] = await send(transfer(1n, { amount: 5n, timeout: 7, flags: pending }));
    nextAt(created + 7n * SECOND - 1n);
    expect(await debitsPending()).toBe(5n);
    nextAt(created + 7n * SECOND);
    const post = transfer(2n, { pending_id: 1n, amount: 5n, flags: post_pending_transfer });
    expect(await send(post)).toEqual(["pending_transfer_expired", created + 7n * SECOND]);
    expect(await debitsPending()).toBe(0n);
    clock[0] = created + 8n * SECOND;
    expect((await send(transfer(3n, { amount: 1n })))[0]).toBe("created");
  });

  it("expires while nobody runs, and what nobody asks for", async () => {
    await send(transfer(1n, { amount: 5n, timeout: 1, flags: pending }));
    await send(transfer(2n, { amount: 6n, timeout: 3, flags: pending }));
    await send(transfer(3n, { amount: 7n, flags: pending }));
    client.destroy();
    clock[0] = START + 2n * SECOND;
    client = open();
    expect(await debitsPending()).toBe(13n);
    clock[0] = START + 4n * SECOND;
    const transfers = await client.queryTransfers({
      ...emptyTransfer(0n),
      timestamp_min: 0n,
      timestamp_max: 0n,
      limit: 10,
    });
    expect(transfers.map((t) => t.id)).toEqual([1n, 2n, 3n]);
    expect(await debitsPending()).toBe(7n);
  });

  it("refuses a timeout past the end of time", async () => {
    clock[0] = (1n << 63n) - 4n * SECOND;
    const event = transfer(1n, { amount: 1n, timeout: 5, flags: pending });
    expect((await send(event))[0]).toBe("overflows_timeout");
    expect((await send({ ...event, timeout: 3 }))[0]).toBe("created");
  });
});
