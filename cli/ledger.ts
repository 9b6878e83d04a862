import { userInfo } from "node:os";
import { createLedgerReaders } from "#common/ledger/drivers/tigerbeetle.ts";
import {
  birthAccountId,
  identityFault,
  type LedgerIdentity,
  type LedgerSigns,
  nanosecondsText,
  noMarks,
  readLedgerSigns,
} from "#common/ledger/identity.ts";
import { readLedgerIdentity } from "#common/postgres/ledger-identity.ts";
import { createPool, isMissingTable, type Pool } from "#common/postgres/pool.ts";
import { type Environment, readSecret } from "#common/process/environment.ts";
import { engineConfig } from "#common/tigerbeetle/engine-config.ts";
import { isLedgerMissing } from "#common/tigerbeetle/ledger-away.ts";
import { type EngineConfig, openClient } from "#common/tigerbeetle/open-client.ts";
import { readOnlyClient } from "#common/tigerbeetle/read-only-client.ts";
import { readArguments, runCommand } from "./command/command.ts";
import { Problem } from "./command/problem.ts";
import { readSettings } from "./state/settings.ts";
import { bringBack } from "./supervisor/bring-back.ts";
import { withRecords } from "./supervisor/with-records.ts";

const usage = "./mesh ledger adopt [--yes] | recover REPLICA";
const adoptForGood = "./mesh ledger adopt --yes";

/** How long the ledger may take to answer, in milliseconds. */
const readTimeoutMs = 10_000;

/**
 * adopt: tells the records to belong to the ledger that is there now, the only way past a start that refuses it.
 * recover: brings back a replica of this mesh that has lost its data, from the others.
 */
runCommand(async () => {
  const { values, positionals } = readArguments(
    { yes: { type: "boolean", default: false } },
    usage,
  );
  const [command, replica, ...more] = positionals;
  if (command === "recover" && /^[0-9]$/.test(replica ?? "") && more.length === 0) {
    await bringBack(readSettings(process.env), Number(replica));
    return 0;
  }
  if (command !== "adopt" || replica !== undefined) throw new Problem(`usage: ${usage}`);
  return withRecords(process.env, (environment) => adoptIn(environment, values.yes));
});

async function adoptIn(environment: Environment, isMeant: boolean): Promise<number> {
  const engine = engineConfig(environment);
  const databaseUrl = readSecret(environment, "DATABASE_URL");
  const pool = createPool({ databaseUrl, applicationName: "sovr-ledger-adopt", connectionsMax: 1 });
  try {
    const identity = await readLedgerIdentity(pool);
    const signs = await lookAtLedger(engine, identity);
    console.log(adoptionText(identity, signs, await countEvidence(pool)));
    if (!isMeant) {
      console.log(`\nNothing was changed. To go on: ${adoptForGood}`);
      return 1;
    }
    await adopt(pool, identity, signs);
    console.log("\nAdopted, and written down in ledger_adoption. Clearing starts on it now.");
    return 0;
  } finally {
    await pool.end();
  }
}

/** A ledger of which there is no file is an empty one: Clearing makes it. */
async function lookAtLedger(
  engine: EngineConfig,
  identity: LedgerIdentity | undefined,
): Promise<LedgerSigns> {
  const { clusterId, batchMax } = engine;
  try {
    const client = readOnlyClient(await openClient(engine, { ifMissing: "refuse" }));
    const limits = { batchMax, readTimeoutMs, waitingMax: 8, retryAfterMs: 500 };
    try {
      const reader = createLedgerReaders(client, limits)();
      return await readLedgerSigns(reader, clusterId, identity ?? noMarks);
    } finally {
      client.destroy();
    }
  } catch (error) {
    if (!isLedgerMissing(error)) throw error;
    const holdsMark = identity === undefined || identity.highWaterMark === 0n;
    return { clusterId, birthTimestamp: undefined, newestTransfer: 0n, newest: 0n, holdsMark };
  }
}

async function countEvidence(pool: Pool): Promise<string> {
  try {
    const { rows } = await pool.query<{ count: string }>("select count(*) as count from evidence");
    return rows[0]?.count ?? "0";
  } catch (error) {
    if (!isMissingTable(error)) throw error;
    throw new Problem("this database holds no records of Clearing: start it once");
  }
}

function adoptionText(
  identity: LedgerIdentity | undefined,
  signs: LedgerSigns,
  evidence: string,
): string {
  const birth = (timestamp: bigint | undefined) =>
    timestamp === undefined ? "empty, not born yet" : `born ${nanosecondsText(timestamp)}`;
  const known =
    identity === undefined
      ? "none is written"
      : `cluster ${identity.clusterId}, ${birth(identity.birthTimestamp)}, seen up to ${nanosecondsText(identity.highWaterMark)}`;
  const fault = identity && identityFault(identity, signs);
  return [
    `The records' ledger: ${known}; ${evidence} intents have evidence.`,
    `The ledger there is: cluster ${signs.clusterId}, ${birth(signs.birthTimestamp)}, newest row ${nanosecondsText(signs.newest)}.`,
    ...(fault === undefined ? [] : [`They differ: ${fault}.`]),
    "Adopting gives up what the one holds and the other does not: intents with evidence whose transfers are not in this ledger",
    "count as never cleared and may clear again, and transfers without evidence stay unattested: ./mesh audit lists these.",
  ].join("\n");
}

/** The trace, and in the same transaction what it allows. */
async function adopt(
  pool: Pool,
  old: LedgerIdentity | undefined,
  signs: LedgerSigns,
): Promise<void> {
  const client = await pool.connect();
  const { clusterId, birthTimestamp = null, newest } = signs;
  try {
    await client.query("begin");
    await client.query(
      `insert into ledger_adoption (adopted_by, old_cluster_id, old_birth_timestamp, old_high_water_mark,
         new_cluster_id, new_birth_timestamp, new_high_water_mark) values ($1, $2, $3, $4, $5, $6, $7)`,
      [
        userInfo().username,
        old?.clusterId ?? null,
        old?.birthTimestamp ?? null,
        old?.highWaterMark ?? null,
        clusterId,
        birthTimestamp,
        newest,
      ],
    );
    await client.query(
      `insert into ledger_identity (cluster_id, birth_account_id, birth_timestamp, high_water_mark)
       values ($1, $2, $3, $4) on conflict (one_row) do update set cluster_id = excluded.cluster_id,
         birth_timestamp = excluded.birth_timestamp, high_water_mark = excluded.high_water_mark`,
      [clusterId, old?.birthAccountId ?? birthAccountId, birthTimestamp, newest],
    );
    await client.query("commit");
  } catch (error) {
    await client.query("rollback");
    throw error;
  } finally {
    client.release();
  }
}
