/**
 * Goal: a replica is formatted once in its life, and one without its data file stops and says what to do. Method: run the
 * scripts that the pods run, with the real TigerBeetle, in a folder that stands for the volume.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type ProgramResult, runProgram } from "../../cli/command/run-program.ts";
import { hasTigerBeetle } from "../support/ledger/tigerbeetle.ts";
import { freePort } from "../support/rpc/free-port.ts";

const scripts = join(import.meta.dirname, "../../k8s/components/tigerbeetle/cluster");
const reason = hasTigerBeetle ? "" : " (skipped: the program `tigerbeetle` is not on PATH)";

let folder = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sovr-replica-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const dataFile = () => join(folder, "replica.tigerbeetle");
const marker = () => join(folder, "formatted");

/** What the pod of replica 0 of a cluster of one is told. */
function environment(change: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  return {
    PATH: process.env["PATH"],
    TIGERBEETLE: "tigerbeetle",
    TIGERBEETLE_CLUSTER_ID: "7",
    REPLICA: "0",
    REPLICA_COUNT: "1",
    DATA_FILE: dataFile(),
    FORMATTED_MARKER: marker(),
    FORMAT_FLAGS: "--development",
    START_FLAGS: "--development",
    ...change,
  };
}

function run(script: string, change?: Readonly<Record<string, string>>): Promise<ProgramResult> {
  const env = environment(change);
  return runProgram("sh", [join(scripts, script)], { env, timeoutMs: 60_000 });
}

describe.skipIf(!hasTigerBeetle)(`the scripts of a replica${reason}`, () => {
  // One test, because a data file takes a gigabyte.
  it("format once, leave a marker, start what they formatted, and never format again", async () => {
    expect((await run("format.sh")).code).toBe(0);
    expect([existsSync(dataFile()), existsSync(marker())]).toEqual([true, true]);

    const port = String(await freePort());
    const log = await startUntilListening(port);
    expect(log).toContain(`cluster=7: listening on 0.0.0.0:${port}`);

    expect(await run("format.sh", { TIGERBEETLE: "false" })).toMatchObject({ code: 0 });
    rmSync(dataFile());
    const { code, output } = await run("format.sh");
    expect(code).toBe(1);
    expect(output).toContain("tigerbeetle recover");
    expect(existsSync(dataFile())).toBe(false);
  }, 180_000);
});

/** Starts the replica, ends it once it listens, and returns what it said. */
async function startUntilListening(port: string): Promise<string> {
  const replica = spawn("sh", [join(scripts, "start.sh")], {
    env: environment({ PORT: port }),
    stdio: ["ignore", "ignore", "pipe"],
  });
  let log = "";
  try {
    for await (const chunk of replica.stderr) {
      log += String(chunk);
      if (log.includes("listening on")) break;
    }
    return log;
  } finally {
    if (replica.exitCode === null) {
      const ended = once(replica, "exit");
      // The script became the replica (exec), so this reaches it and no shell in between.
      replica.kill("SIGKILL");
      await ended;
    }
  }
}

describe("a replica without its data file", () => {
  it("stops, says `tigerbeetle recover`, and makes no file", async () => {
    const { code, output } = await run("start.sh", { TIGERBEETLE: "false" });
    expect(code).toBe(1);
    expect(output).toContain("replica 0 has no data file");
    expect(output).toContain("`tigerbeetle recover`");
    expect(existsSync(dataFile())).toBe(false);
  });

  it("is recovered when it is told so by its number, with the others' addresses in order", async () => {
    // `echo` in place of the program: what is looked at is the command, and a recovery needs a whole cluster.
    const { output } = await run("start.sh", {
      TIGERBEETLE: "echo",
      REPLICA: "1",
      REPLICA_COUNT: "3",
      RECOVER_REPLICA: "1",
      TIGERBEETLE_0_SERVICE_HOST: "10.0.0.10",
      TIGERBEETLE_2_SERVICE_HOST: "10.0.0.12",
    });
    const addresses = "--addresses=10.0.0.10:3000,0.0.0.0:3000,10.0.0.12:3000";
    expect(output.split("\n")[0]).toBe(
      `recover --cluster=7 ${addresses} --replica=1 --replica-count=3 ${dataFile()}.new`,
    );
  });

  it("is not recovered when another is meant, nor started before every Service is there", async () => {
    const other = await run("start.sh", { TIGERBEETLE: "echo", RECOVER_REPLICA: "2" });
    expect([other.code, other.output.includes("recover --cluster")]).toEqual([1, false]);
    const early = await run("start.sh", { TIGERBEETLE: "echo", REPLICA_COUNT: "3" });
    expect(early.code).toBe(1);
    expect(early.output).toContain("TIGERBEETLE_1_SERVICE_HOST is missing");
  });
});
