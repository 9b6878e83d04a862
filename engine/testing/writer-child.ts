/**
 * A process that writes to a ledger and says what was acknowledged, for tests that kill it, share
 * its file or fill its disk: `writer-child.ts PATH --batches N --size N --first ID`. The accounts
 * 1 and 2 of ledger 1 exist, or are created with `--accounts`. Prints `ack FIRST COUNT` per batch, `failed CODE` or `done`.
 */
import { writeSync } from "node:fs";
import { parseArgs } from "node:util";
import { CreateTransferStatus, type Transfer, TransferFlags } from "tigerbeetle-node";
import { createEmbeddedClient } from "../client.ts";
import { EmbeddedLedgerError } from "../errors.ts";
import { emptyAccount, emptyTransfer } from "./empty-rows.ts";
import { MAX_AMOUNT } from "./run-script.ts";

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    batches: { type: "string", default: "1" },
    size: { type: "string", default: "1" },
    first: { type: "string", default: "1" },
    mixed: { type: "boolean", default: false },
    accounts: { type: "boolean", default: false },
  },
});
/** Written at once, so that what was said before a kill is not lost in a buffer. */
const say = (line: string): void => {
  writeSync(1, `${line}\n`);
};

/** Transfer `id`; in a mixed run also chains, pendings with and without timeout, posts, voids. */
function event(id: bigint, last: boolean): Transfer {
  const base = {
    ...emptyTransfer(id),
    debit_account_id: 1n,
    credit_account_id: 2n,
    amount: id % 7n,
    ledger: 1,
    code: 1,
  };
  if (!values.mixed) return base;
  switch (id % 5n) {
    case 1n:
      return { ...base, flags: TransferFlags.pending, timeout: id % 2n === 0n ? 3600 : 0 };
    case 2n:
      return id % 2n === 0n
        ? {
            ...base,
            amount: MAX_AMOUNT,
            pending_id: id - 1n,
            flags: TransferFlags.post_pending_transfer,
          }
        : { ...base, amount: 0n, pending_id: id - 1n, flags: TransferFlags.void_pending_transfer };
    case 3n:
      return { ...base, flags: last ? 0 : TransferFlags.linked };
    default:
      return base;
  }
}

const size = Number(values.size);
let next = BigInt(values.first);
try {
  const client = createEmbeddedClient({
    path: positionals[0] ?? "",
    clusterId: 5n,
    epochEvents: 500,
    indexEvents: 100,
  });
  if (values.accounts) {
    await client.createAccounts(
      [1n, 2n].map((id) => ({ ...emptyAccount(id), ledger: 1, code: 1 })),
    );
  }
  for (let batch = 0; batch < Number(values.batches); batch++) {
    const events = Array.from({ length: size }, (_, i) => event(next + BigInt(i), i === size - 1));
    const results = await client.createTransfers(events);
    const bad = results.find((result) => result.status !== CreateTransferStatus.created);
    if (bad) throw new Error(`status ${CreateTransferStatus[bad.status]}`);
    say(`ack ${next} ${size}`);
    next += BigInt(size);
  }
  client.destroy();
  say("done");
} catch (error) {
  say(`failed ${error instanceof EmbeddedLedgerError ? error.code : error}`);
  process.exit(1);
}
