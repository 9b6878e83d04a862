import { readFileSync } from "node:fs";
import { createClient } from "@connectrpc/connect";
import pg from "pg";
import { assets } from "#common/ledger/assets.ts";
import { LedgerService } from "#gen/sovr/ledger/v1/ledger_service_pb.ts";
import { keyFiles } from "../../../cli/state/keys.ts";
import type { TestMesh } from "../mesh/mesh.ts";

/** All that an intruder could have moved: the ledger's sums, and the rows of the records. */
export interface Holdings {
  /** By asset: what was debited and credited, posted and pending. */
  readonly sums: Readonly<Record<string, readonly string[]>>;
  /** By table: how many rows. */
  readonly rows: Readonly<Record<string, number>>;
}

/** Reads what a mesh holds now, past every service but Ledger. */
export async function readHoldings(mesh: TestMesh): Promise<Holdings> {
  const ledger = createClient(LedgerService, mesh.client().transport);
  const sums: Record<string, readonly string[]> = {};
  for (const { ledger: asset, code } of assets) {
    const trial = await ledger.getTrialBalance({ ledger: asset });
    const { debitsPosted, creditsPosted, debitsPending, creditsPending } = trial;
    sums[code] = [debitsPosted, creditsPosted, debitsPending, creditsPending];
  }
  return { sums, rows: await countRows(mesh) };
}

async function countRows({ settings }: TestMesh): Promise<Record<string, number>> {
  const connectionString = readFileSync(keyFiles(settings).databaseUrl, "utf8").trim();
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    const { rows } = await client.query<{ name: string }>(
      "select table_name as name from information_schema.tables where table_schema = 'public' order by 1",
    );
    const counts: Record<string, number> = {};
    for (const { name } of rows) {
      const counted = await client.query(`select count(*)::int as n from ${name}`);
      counts[name] = counted.rows[0]?.n;
    }
    return counts;
  } finally {
    await client.end();
  }
}
