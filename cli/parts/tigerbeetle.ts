import { existsSync, renameSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { Problem } from "../command/problem.ts";
import { findProgram, lastLine, runProgram } from "../command/run-program.ts";
import type { Settings } from "../state/settings.ts";
import type { MeshIdentity } from "../state/state.ts";
import { syncFolder } from "../state/write-whole.ts";
import type { Launch, Mesh, Part } from "./part.ts";

/** A batch of a replica that runs with --development. */
export const developmentBatchMax = 253;

/** True: the engine is a TigerBeetle that runs on this machine, as a part. */
export function runsTigerBeetle({ engine, external }: MeshIdentity): boolean {
  return engine === "tigerbeetle" && !external;
}

/** A cluster of one replica. */
export function tigerbeetlePart({ settings, identity, environment }: Mesh): Part {
  return {
    name: "tigerbeetle",
    dependsOn: [],
    ports: [{ variable: "TIGERBEETLE_PORT", port: settings.ports.tigerbeetle }],
    readyMs: 60_000,
    stopSignal: "SIGTERM",
    stopMs: 5_000,
    launch: () => launch(settings, identity.clusterId, environment),
    probe: () => probe(settings),
  };
}

/**
 * Formats a data file of one replica, if there is none yet, and says how to start it. --development: smaller
 * buffers and no direct I/O, so that it runs on any developer's disk.
 */
async function launch(
  settings: Settings,
  clusterId: string,
  env: NodeJS.ProcessEnv,
): Promise<Launch> {
  const program = findTigerBeetle();
  const file = join(settings.state, "tigerbeetle.data");
  if (!existsSync(file)) {
    // Beside its place and then moved: a format that was interrupted never looks like a data file.
    const fresh = `${file}.new`;
    rmSync(fresh, { force: true });
    const shape = [`--cluster=${clusterId}`, "--replica=0", "--replica-count=1", "--development"];
    const result = await runProgram(program, ["format", ...shape, fresh], { timeoutMs: 60_000 });
    if (result.code !== 0) {
      throw new Problem(`tigerbeetle could not format ${file}: ${lastLine(result.output)}`);
    }
    renameSync(fresh, file);
    syncFolder(settings.state);
  }
  const address = `${settings.host}:${settings.ports.tigerbeetle}`;
  return { command: [program, "start", `--addresses=${address}`, "--development", file], env };
}

/**
 * The version of the replica, once it listens: its clients wait for the rest. "" where the program is not on PATH, as in
 * another shell than the one that started it. Throws while it does not listen.
 */
async function probe(settings: Settings): Promise<string> {
  await connects(settings.host, settings.ports.tigerbeetle);
  const program = findProgram("tigerbeetle");
  if (program === undefined) return "";
  const { output } = await runProgram(program, ["version"], { timeoutMs: 5_000 });
  return /version ([0-9.]+)/.exec(output)?.[1] ?? "unknown";
}

function findTigerBeetle(): string {
  const program = findProgram("tigerbeetle");
  if (program === undefined) {
    throw new Problem("tigerbeetle is not on PATH: install it, or leave out --engine tigerbeetle");
  }
  return program;
}

function connects(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, timeout: 1_000 });
    const fail = (error: Error) => {
      socket.destroy();
      reject(error);
    };
    socket.once("connect", () => {
      socket.destroy();
      resolve();
    });
    socket.once("timeout", () => fail(new Error(`no answer from ${host}:${port}`)));
    socket.once("error", fail);
  });
}
