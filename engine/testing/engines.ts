import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { accessSync, appendFileSync, constants, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { type Client, createClient } from "tigerbeetle-node";
import { createEmbeddedClient, type EmbeddedClientOptions } from "../client.ts";

/** A started engine; `stop` also deletes its data. */
export type TestEngine = {
  readonly client: Client;
  /** A second client of the same ledger; the caller destroys it. */
  readonly connect: () => Client;
  readonly stop: () => Promise<void>;
};

/** The TigerBeetle binary on PATH, or undefined. Tests that need it are skipped without it. */
export function tigerbeetleBinary(): string | undefined {
  for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
    const candidate = join(folder, "tigerbeetle");
    try {
      accessSync(candidate, constants.X_OK);
      return candidate;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}

/** A folder for one test's files. */
export function temporaryFolder(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), "engine-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** An embedded engine in a folder of its own. */
export function startEmbedded(options: Partial<EmbeddedClientOptions> = {}): TestEngine {
  const folder = temporaryFolder();
  const path = join(folder.path, "ledger.db");
  const connect = (): Client => createEmbeddedClient({ path, clusterId: 0n, ...options });
  const client = connect();
  return {
    client,
    connect,
    stop: async () => {
      client.destroy();
      folder.remove();
    },
  };
}

/** A TigerBeetle replica on a free port. `development` starts faster and takes batches of 253. */
export async function startTigerBeetle(mode: "development" | "full"): Promise<TestEngine> {
  const binary = tigerbeetleBinary();
  if (!binary) throw new Error("no tigerbeetle on PATH");
  const folder = temporaryFolder();
  const file = join(folder.path, "0_0.tigerbeetle");
  const extra = mode === "development" ? ["--development"] : ["--cache-grid=128MiB"];
  const format = ["format", "--cluster=0", "--replica=0", "--replica-count=1"];
  execFileSync(binary, [...format, ...(mode === "development" ? ["--development"] : []), file], {
    stdio: "ignore",
  });
  // At the address 0 it takes a port that is free, and ends when nobody holds its standard input.
  const child = spawn(binary, ["start", "--addresses=0", ...extra, file], {
    stdio: ["pipe", "ignore", "pipe"],
  });
  // For the table of ./mesh test: as the starters of test/support, which the engine does not know.
  const started = process.env["MESH_TEST_STARTED"];
  if (started !== undefined) appendFileSync(started, "tigerbeetle\n");
  // Also when the test is cut short: no replica outlives the process that started it.
  const kill = (): void => {
    child.kill("SIGKILL");
    folder.remove();
  };
  process.once("exit", kill);
  const address = await listening(child).catch((error: unknown) => {
    kill();
    throw error;
  });
  const connect = (): Client => createClient({ cluster_id: 0n, replica_addresses: [address] });
  const client = connect();
  return {
    client,
    connect,
    stop: async () => {
      client.destroy();
      const gone = new Promise((resolve) => child.once("exit", resolve));
      process.off("exit", kill);
      child.kill("SIGKILL");
      await gone;
      folder.remove();
    },
  };
}

/** Where it listens, as it says itself. */
function listening(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("tigerbeetle did not start")), 60_000);
    let log = "";
    child.stderr?.on("data", (chunk: Buffer) => {
      if (log.length < 100_000) log += chunk.toString();
      const address = /listening on (\S+)\n/.exec(log)?.[1];
      if (address === undefined) return;
      clearTimeout(timer);
      resolve(address);
    });
    child.once("exit", () => {
      clearTimeout(timer);
      reject(new Error(`tigerbeetle ended: ${log.slice(-500)}`));
    });
  });
}
