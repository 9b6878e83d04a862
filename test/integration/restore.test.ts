// Goal: an operator who follows the runbook has a mesh that clears again, and is told what is lost. Method: the commands
// of the page, run in their order against two servers: one with a house's records, and a fresh one without any role.
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { migrateAtStart } from "#common/postgres/migrate.ts";
import { createPool } from "#common/postgres/pool.ts";
import { hasPostgresClient } from "../../cli/bring/postgres-client.ts";
import { runProgram } from "../../cli/command/run-program.ts";
import { repositoryRoot } from "../../cli/state/settings.ts";
import { attestorConfig } from "../../services/attestor/config.ts";
import { createAttestorDeps } from "../../services/attestor/deps.ts";
import type { ClearRequest } from "../../services/clearing/core/clearing.ts";
import type { ClearingDeps } from "../../services/clearing/deps.ts";
import { ledgerConfig } from "../../services/ledger/config.ts";
import { createLedgerDeps } from "../../services/ledger/deps.ts";
import {
  type ClearingWorld,
  clearOne,
  startClearingWorld,
  type TestKey,
} from "../support/clearing/world.ts";
import { engines } from "../support/ledger/tigerbeetle.ts";
import { codeBlocks } from "../support/mesh/code-blocks.ts";
import { openDatabase } from "../support/postgres/database.ts";
import {
  startPostgres,
  type TestDatabase,
  type TestPostgres,
} from "../support/postgres/postgres.ts";
import { nodeEnvironment, patience } from "../support/process/node-environment.ts";

const page = "docs/operations/restore-postgres.md";
const blocks = codeBlocks(readFileSync(join(repositoryRoot, page), "utf8"));
const commands = blocks.filter(({ language }) => language === "sh");
const commandMsMax = 100_000;

const canRestore = await hasPostgresClient();
const skipped = canRestore ? "" : " [no pg_dump of PostgreSQL 18 or newer on PATH]";

describe.skipIf(!canRestore)(`${page}${skipped}`, () => {
  const lost: ClearRequest[] = [];
  let folder: string;
  let world: ClearingWorld;
  let old: TestDatabase;
  let fresh: TestPostgres;
  let wallet: TestKey;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "sovr-restore-"));
    for (const name of readdirSync(repositoryRoot)) {
      if (name !== ".mesh") await symlink(join(repositoryRoot, name), join(folder, name));
    }
    [old, fresh] = await Promise.all([openDatabase(), startPostgres()]);
    const [embedded] = engines;
    if (embedded === undefined) throw new Error("there is no engine");
    world = await startClearingWorld(embedded, old.databaseUrl);
    await startOthers(old.databaseUrl);
    const replica = await world.openReplica();
    wallet = await world.openFunded(replica, 100n);
    await purchase(replica, 3);
    await world.closeReplica(replica);
  });
  afterAll(async () => {
    await world?.close();
    await Promise.all([old?.stop(), fresh?.stop()]);
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });

  const purchase = async (replica: ClearingDeps, count: number): Promise<ClearRequest[]> => {
    const requests = Array.from({ length: count }, () => world.purchase(wallet, 1n));
    for (const request of requests) await clearOne(replica, request);
    return requests;
  };

  const probeAll = async ({ dependencies }: Pick<ClearingDeps, "dependencies">): Promise<void> => {
    for (const { probe } of dependencies) await probe(AbortSignal.timeout(commandMsMax));
  };

  /** Starts the Attestor, and of Checkout what it does with the records; all that they need must answer. */
  const startOthers = async (databaseUrl: string): Promise<void> => {
    const environment = { ...world.environment(), DATABASE_URL: databaseUrl };
    const key = Buffer.from(world.signer.privateKey).toString("hex");
    const attestor = await createAttestorDeps(
      attestorConfig({ ...environment, ATTESTOR_PRIVATE_KEY: key, LOG_LEVEL: "error" }),
    );
    try {
      await probeAll(attestor);
    } finally {
      await attestor.close();
    }
    const migrations = new URL("../../services/checkout/migrations/", import.meta.url);
    await migrateAtStart(databaseUrl, "checkout", migrations);
    const role = "sovr_checkout";
    const pool = createPool({ databaseUrl, applicationName: "test", role });
    await pool.query("select count(*) from checkout_order");
    await pool.end();
  };

  /** Runs the page's block of commands and holds what is printed against the block below it. */
  const runBlock = async (first: string, databaseUrl: string, code = 0): Promise<void> => {
    const block = commands.find((candidate) => candidate.code.startsWith(first));
    if (block === undefined) throw new Error(`the page has no block that starts with ${first}`);
    const env = { ...process.env, ...nodeEnvironment(), ...world.environment() };
    const result = await runProgram("sh", ["-u", "-c", block.code], {
      cwd: folder,
      env: { ...env, DATABASE_URL: databaseUrl },
      timeoutMs: commandMsMax,
    });
    expect(result, result.output).toMatchObject({ code });
    const shown = blocks[blocks.indexOf(block) + 1];
    expect(shown?.language).toBe("text");
    expect(shape(result.output)).toContain(shape(shown?.code ?? ""));
  };

  it("has the commands that are run here, and no other", () => {
    expect(commands.map(({ code }) => code.split(" --")[0]?.trim())).toEqual([
      "pg_dump",
      "pg_restore",
      "./mesh ledger adopt",
      "./mesh ledger adopt",
      "./mesh audit",
    ]);
  });

  it("takes a dump, and restores it into a server that has no roles", async () => {
    await runBlock("pg_dump", old.databaseUrl);
    await runBlock("pg_restore", fresh.databaseUrl);
    await runBlock("./mesh ledger adopt\n", fresh.databaseUrl, 1);
  });

  it("starts on it, and clears as before", async () => {
    await startOthers(fresh.databaseUrl);
    const replica = await world.openReplica({ databaseUrl: fresh.databaseUrl });
    await probeAll(replica);
    lost.push(...(await purchase(replica, 3)));
    await world.closeReplica(replica);
  });

  it("lets the Ledger say why it is not ready until its login may read", async () => {
    const pool = createPool({ databaseUrl: fresh.databaseUrl, applicationName: "test" });
    await pool.query("create role viewer login password 'viewer'");
    const url = new URL(fresh.databaseUrl);
    Object.assign(url, { username: "viewer", password: "viewer" });
    const ledger = await createLedgerDeps(
      ledgerConfig({
        ...world.environment(),
        ...patience,
        DATABASE_URL: url.href,
        LOG_LEVEL: "error",
      }),
    );
    const state = () => probeAll(ledger).then(() => "ready", String);
    try {
      await expect.poll(state).toContain("permission denied");
      await pool.query("grant select on all tables in schema public to viewer");
      await expect.poll(state).toBe("ready");
    } finally {
      await Promise.all([ledger.close(), pool.end()]);
    }
  });

  it("says what the ledger has and the records have not, when the dump is older", async () => {
    // The dump once more: what was cleared since is not in it.
    const pool = createPool({ databaseUrl: fresh.databaseUrl, applicationName: "test" });
    await pool.query("create database older");
    await pool.end();
    await runBlock("pg_restore", olderUrl());
    const refusal = await world.openReplica({ databaseUrl: olderUrl() }).catch(String);
    const shown = blocks.find(({ code }) => code.startsWith("the records have seen"));
    expect(shape(String(refusal))).toContain(shape(shown?.code ?? "nothing is shown"));
  });

  it("goes on without, once told so; what callers send again is whole, and audit lists the rest", async () => {
    await runBlock("./mesh ledger adopt --yes", olderUrl());
    await startOthers(olderUrl());
    const replica = await world.openReplica({ databaseUrl: olderUrl() });
    const [held] = lost;
    if (held === undefined) throw new Error("nothing was lost");
    expect(await clearOne(replica, held)).toMatchObject({ state: "CLEARED", replayed: true });
    await world.closeReplica(replica);
    await runBlock("./mesh audit", olderUrl(), 1);
  });

  const olderUrl = (): string => {
    const url = new URL(fresh.databaseUrl);
    url.pathname = "/older";
    return url.href;
  };
});

/** What stays the same between two runs: words, but no numbers, times and digests. */
function shape(text: string): string {
  return text
    .replaceAll(/\b0x[0-9a-f]+/g, "HEX")
    .replaceAll(/\b[0-9][0-9T:.Z-]*/g, "N")
    .trim();
}
