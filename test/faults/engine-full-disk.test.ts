// Goal: the embedded ledger on a disk that is full, in its log or in its file, refuses what it cannot store, whole, goes
// on reading, and goes on by itself once there is room. Method: a small disk of its own that is filled and freed round
// after round while batches of one chain each are written; then everything is held against what was acknowledged.
import { join } from "node:path";
import { type Client, CreateTransferStatus, type Transfer, TransferFlags } from "tigerbeetle-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createEmbeddedClient } from "#engine/client.ts";
import { EmbeddedLedgerError } from "#engine/errors.ts";
import { emptyAccount, emptyTransfer } from "#engine/testing/empty-rows.ts";
import { openDisk, type TestDisk, whyNoDisk } from "../support/disk/disk.ts";

const reason = whyNoDisk();
const rounds = [1, 2, 3, 4];
const batchEvents = 200;
/** A log that was copied is written over from its start, so that it takes a while until more space is needed. */
const batchesMax = 2_000;
const lookupMax = 8_189;

const title = "the embedded ledger on a full disk";
describe.skipIf(reason !== undefined)(
  reason === undefined ? title : `${title} (skipped: ${reason})`,
  () => {
    let disk: TestDisk;
    let client: Client;
    let nextId = 1n;
    const acknowledged: bigint[] = [];
    const open = () =>
      createEmbeddedClient({
        path: join(disk.folder, "ledger.db"),
        clusterId: 1n,
        epochEvents: 5_000,
        indexEvents: 1_000,
        integrityCheck: "full",
      });

    beforeAll(async () => {
      disk = openDisk(48);
      client = open();
      const accounts = [1n, 2n].map((id) => ({ ...emptyAccount(id), ledger: 1, code: 1 }));
      await client.createAccounts(accounts);
    });
    afterAll(() => {
      client?.destroy();
      disk?.remove();
    });

    it.each(rounds)("refuses whole batches, reads, and goes on by itself, round %i", async () => {
      for (let batches = 0; batches < 40; batches += 1) await write(nextBatch());
      disk.fill();
      const { refused, error } = await writeUntilRefused();
      expect(error.code).toBe("ERR_EMBEDDED_DISK_FULL");
      // It is refused again, and what is stored is read, for as long as there is no room.
      await expect(client.createTransfers(refused)).rejects.toMatchObject({ code: error.code });
      expect(await found(acknowledged.slice(-1_000))).toHaveLength(
        Math.min(acknowledged.length, 1_000),
      );
      expect(await found(refused.map(({ id }) => id))).toEqual([]);
      disk.free();
      await write(refused);
    });

    it("has everything that was acknowledged once, also when it is opened anew", async () => {
      client.destroy();
      client = open();
      expect(await found(acknowledged)).toHaveLength(acknowledged.length);
      const [debited] = await client.lookupAccounts([1n]);
      expect(debited?.debits_posted).toBe(BigInt(acknowledged.length));
    });

    /** One chain, so that it is there whole or not at all. */
    function nextBatch(): Transfer[] {
      return Array.from({ length: batchEvents }, (_, index) => ({
        ...emptyTransfer(nextId++),
        debit_account_id: 1n,
        credit_account_id: 2n,
        amount: 1n,
        ledger: 1,
        code: 1,
        flags: index < batchEvents - 1 ? TransferFlags.linked : 0,
      }));
    }

    async function write(batch: Transfer[]): Promise<void> {
      const results = await client.createTransfers(batch);
      const { created } = CreateTransferStatus;
      expect(new Set(results.map(({ status }) => status))).toEqual(new Set([created]));
      acknowledged.push(...batch.map(({ id }) => id));
    }

    async function writeUntilRefused() {
      for (let batches = 0; batches < batchesMax; batches += 1) {
        const refused = nextBatch();
        try {
          await write(refused);
        } catch (error) {
          if (!(error instanceof EmbeddedLedgerError)) throw error;
          return { refused, error };
        }
      }
      throw new Error("the disk does not become full");
    }

    async function found(ids: readonly bigint[]): Promise<bigint[]> {
      const rows: Transfer[] = [];
      for (let first = 0; first < ids.length; first += lookupMax) {
        rows.push(...(await client.lookupTransfers(ids.slice(first, first + lookupMax))));
      }
      return rows.map(({ id }) => id);
    }
  },
);
