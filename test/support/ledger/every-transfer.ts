import type { CommittedTransfer } from "#common/ledger/transfer-rows.ts";
import { type EngineConfig, openClient } from "#common/tigerbeetle/open-client.ts";
import { everythingIn, parseTransfer } from "#common/tigerbeetle/transfer-codec.ts";

/** Every transfer in a ledger, in the order of commits, read past all services. */
export async function everyTransferIn(config: EngineConfig): Promise<CommittedTransfer[]> {
  const client = await openClient(config);
  const limit = config.batchMax;
  const rows: CommittedTransfer[] = [];
  try {
    for (;;) {
      const timestampMin = (rows.at(-1)?.timestamp ?? 0n) + 1n;
      const page = await client.queryTransfers(
        everythingIn({ timestampMin, timestampMax: 0n, limit }),
      );
      rows.push(...page.map(parseTransfer));
      if (page.length < limit) return rows;
    }
  } finally {
    client.destroy();
  }
}
