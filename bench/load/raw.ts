import { randomBytes } from "node:crypto";
import {
  type Account,
  AccountFlags,
  type Client,
  CreateTransferStatus,
  type Transfer,
} from "tigerbeetle-node";
import { openClient } from "#common/tigerbeetle/open-client.ts";
import { emptyAccount } from "#engine/testing/empty-rows.ts";
import type { LoadCall } from "./calls.ts";
import type { RawTask } from "./task.ts";

const accountCount = 1_000;
const firstAccountId = 1_000n;

/** As many batches as any engine does in the time, and the client that sends them. Accounts keep history, as the mesh's. */
export async function prepareRaw(
  task: RawTask,
): Promise<{ readonly calls: readonly LoadCall[]; close(): void }> {
  const client = await openClient(task.engine);
  await client.createAccounts(Array.from({ length: accountCount }, (_, index) => account(index)));
  const { batchMax } = task.engine;
  // Made as they go: a million rows at once would measure the garbage collector.
  const call: LoadCall = { weight: batchMax, run: () => writeBatch(client, batchMax) };
  return {
    calls: Array.from({ length: 10_000 }, () => call),
    close: () => client.destroy(),
  };
}

async function writeBatch(client: Client, count: number): Promise<undefined> {
  const time = BigInt(Date.now()) << 80n;
  const random = randomBytes(count * 32);
  const batch = Array.from({ length: count }, (_, index) => transfer(time, random, index * 32));
  const results = await client.createTransfers(batch);
  const failed = results.find(({ status }) => status !== CreateTransferStatus.created);
  if (failed !== undefined) throw new Error(CreateTransferStatus[failed.status]);
  return undefined;
}

/** A row as Clearing's: the id grows with time and ends at random, user_data is a digest's. */
function transfer(time: bigint, random: Buffer, offset: number): Transfer {
  const word = (at: number) => random.readBigUInt64LE(offset + at);
  const debit = random.readUInt32LE(offset + 28) % accountCount;
  const credit =
    (debit + 1 + (random.readUInt16LE(offset + 26) % (accountCount - 1))) % accountCount;
  return {
    id: time | (word(0) << 16n) | BigInt(random.readUInt16LE(offset + 24)),
    debit_account_id: firstAccountId + BigInt(debit),
    credit_account_id: firstAccountId + BigInt(credit),
    amount: 1n,
    pending_id: 0n,
    user_data_128: (word(8) << 64n) | word(16),
    user_data_64: word(8) ^ word(0),
    user_data_32: 1 << 16,
    timeout: 0,
    ledger: 1,
    code: 1,
    flags: 0,
    timestamp: 0n,
  };
}

function account(index: number): Account {
  return {
    ...emptyAccount(firstAccountId + BigInt(index)),
    ledger: 1,
    code: 20,
    flags: AccountFlags.history,
  };
}
