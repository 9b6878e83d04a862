/**
 * Audits a large ledger in a process of its own: rate and peak memory, which must not grow with the transfers.
 *
 *   node bench/audit-volume.ts [--transfers 1000000] [--legs 1] [--accounts 100000] [--engine embedded|tigerbeetle]
 *
 * A tenth of the intents reserve, and run out. Ten million transfers of one leg each take an hour, most of it to sign
 * their intents and to check the signatures; with more legs there are as many transfers and fewer signatures.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { parseArgs } from "node:util";
import { CreateTransferStatus } from "tigerbeetle-node";
import { transferRows } from "#common/ledger/transfer-rows.ts";
import { migrate } from "#common/postgres/migrate.ts";
import { createPool, type Pool } from "#common/postgres/pool.ts";
import { type EngineConfig, openClient } from "#common/tigerbeetle/open-client.ts";
import { formatTransfer } from "#common/tigerbeetle/transfer-codec.ts";
import { Attempt } from "../services/clearing/core/attempt.ts";
import { createEvidenceStore } from "../services/clearing/drivers/postgres.ts";
import {
  attest,
  attestorKey,
  funding,
  houseIntentOf,
  testKey,
} from "../test/support/intents/intents.ts";
import { createSeed } from "../test/support/intents/seed.ts";
import { startPostgres } from "../test/support/postgres/postgres.ts";
import { type BenchEngine, withBareEngine } from "./world.ts";

const { values } = parseArgs({
  options: {
    transfers: { type: "string", default: "1000000" },
    legs: { type: "string", default: "1" },
    accounts: { type: "string", default: "100000" },
    engine: { type: "string", default: "embedded" },
  },
});
const transfers = Number(values.transfers);
const legs = Number(values.legs);
const accounts = Number(values.accounts);
/** Transfers in one request to the ledger, at most. */
const batchMax = 8_000;

const postgres = await startPostgres();
const pool = createPool({ databaseUrl: postgres.databaseUrl, applicationName: "bench" });
try {
  await migrate(pool, "clearing", new URL("../services/clearing/migrations/", import.meta.url));
  await withBareEngine(values.engine as BenchEngine, async (engine) => {
    await fill(engine, pool);
    await audit(engine);
  });
} finally {
  await pool.end();
  await postgres.stop();
}

async function fill(engine: EngineConfig, records: Pool): Promise<void> {
  const client = await openClient(engine);
  const seed = createSeed(client, undefined);
  await seed.openChart();
  const wallets = Array.from({ length: accounts }, (_, index) => testKey(index + 1).address);
  await seed.openWallets(wallets);
  const store = createEvidenceStore(records, () => undefined);
  const walletOf = (number: number) => wallets[number % wallets.length] ?? "";
  const intentsMax = Math.floor(batchMax / legs);
  for (let done = 0; done < transfers; ) {
    const count = Math.min(intentsMax, Math.ceil((transfers - done) / legs));
    const requests = Array.from({ length: count }, (_, index) => {
      const first = done + index * legs;
      const reserves = (first / legs) % 10 === 0;
      const intent = houseIntentOf({
        postings: Array.from({ length: legs }, (_, leg) => funding(walletOf(first + leg), 100n)),
        ...(reserves ? { phase: "PENDING", timeoutSeconds: 1 + (first % 20) } : {}),
      });
      return { intent, attestation: attest(intent) };
    });
    await Promise.all(requests.map((request) => store.store(request, new Attempt())));
    const rows = requests.flatMap(({ intent, attestation }) =>
      transferRows(intent, attestation.digest).map(formatTransfer),
    );
    const failed = (await client.createTransfers(rows)).find(
      ({ status }) => status !== CreateTransferStatus.created,
    );
    if (failed !== undefined) throw new Error(CreateTransferStatus[failed.status]);
    done += count * legs;
    process.stderr.write(`\rfilled ${done}`);
  }
  process.stderr.write("\n");
  client.destroy();
}

async function audit({ engine, clusterId }: EngineConfig): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "sovr-audit-"));
  const signersFile = join(folder, "signers.json");
  const signer = { address: attestorKey.address, activateTime: "2020-01-01T00:00:00Z" };
  writeFileSync(signersFile, JSON.stringify([signer]));
  const script = new URL("../cli/audit.ts", import.meta.url).pathname;
  const child = spawn(process.execPath, [script, "--json"], {
    env: {
      PATH: process.env["PATH"],
      SOVR_ENVIRONMENT: "test",
      DATABASE_URL: postgres.databaseUrl,
      SIGNERS_FILE: signersFile,
      EIP712_VERIFYING_CONTRACT: "0x5FbDB2315678afecb367f032d93F642f64180aa3",
      TIGERBEETLE_CLUSTER_ID: String(clusterId),
      ...(engine.kind === "embedded"
        ? { EMBEDDED_LEDGER_PATH: engine.path }
        : { TIGERBEETLE_ADDRESSES: engine.addresses.join(",") }),
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let peakMb = 0;
  const watch = setInterval(() => {
    const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
    // One that has just ended tells nothing.
    peakMb = Math.max(peakMb, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1_024);
  }, 200);
  child.once("exit", () => clearInterval(watch));
  const [stdout] = await Promise.all([text(child.stdout), once(child, "close")]);
  rmSync(folder, { recursive: true, force: true });
  const { summary } = JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "");
  const rate = Math.round(summary.transfers / summary.seconds);
  console.log(
    `${summary.transfers} transfers, ${summary.accounts} accounts: ${rate} transfers/s, at most ${peakMb.toFixed(0)} MB, ${summary.findingCount} findings`,
  );
}
