import { chmodSync, existsSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { Problem } from "../command/problem.ts";
import { findProgram, lastLine, runProgram } from "../command/run-program.ts";
import type { Settings } from "../state/settings.ts";
import { syncFolder, writeWhole } from "../state/write-whole.ts";
import { quorumOf, type Replica, replicaAddresses } from "./replicas.ts";

const formatMs = 60_000;
/** It asks the replicas that are there until they answer, and an idle one may take a while. */
const recoverMs = 120_000;

/** A cluster on this machine. */
export interface Cluster {
  readonly settings: Settings;
  readonly clusterId: string;
  readonly replicas: readonly Replica[];
}

/**
 * Tells that every replica was formatted. None starts before it is written, so without it a file that is missing was
 * never one of a replica that promised anything; with it, such a file is lost.
 */
function markerOf({ settings }: Cluster): string {
  return join(settings.state, "tigerbeetle.formatted");
}

/** The path of the program. `what`: what to leave out without it. Throws Problem. */
export function requireTigerBeetle(what: string): string {
  const program = findProgram("tigerbeetle");
  if (program === undefined) {
    throw new Problem(
      `tigerbeetle is not on PATH: install it${what === "" ? "" : `, or leave out ${what}`}`,
    );
  }
  return program;
}

/**
 * Makes the data files of a new cluster, once in its life. A replica whose file is lost is never formatted again: it
 * would have forgotten what it promised, and committed transfers could be lost. Throws Problem if more files are lost than
 * the other replicas can bring back.
 */
export async function formatOnce(cluster: Cluster, program: string): Promise<void> {
  const { replicas } = cluster;
  const missing = replicas.filter(({ file }) => !existsSync(file));
  // A cluster of one keeps no promises to others, and its records refuse a ledger that is not theirs.
  if (!existsSync(markerOf(cluster)) || replicas.length === 1) {
    for (const replica of missing) await format(cluster, replica, program);
    if (!existsSync(markerOf(cluster))) writeWhole(markerOf(cluster), `${replicas.length}\n`);
    return;
  }
  if (replicas.length - missing.length < quorumOf(replicas.length)) {
    throw new Problem(
      `the data files ${missing.map(({ file }) => basename(file)).join(", ")} in ${cluster.settings.state} are gone, and the replicas that are left are too few to bring them back: put copies of them back`,
    );
  }
}

/**
 * What is wrong with a replica whose data file is lost, and the remedy; undefined if the file is there, or was never made.
 */
export function lossOf(cluster: Cluster, { file, index }: Replica): string | undefined {
  if (existsSync(file) || !existsSync(markerOf(cluster))) return undefined;
  return `its data file ${file} is gone; ./mesh ledger recover ${index} brings it back from the other replicas (tigerbeetle recover)`;
}

async function format(cluster: Cluster, replica: Replica, program: string): Promise<void> {
  const { clusterId, replicas } = cluster;
  const shape = [
    `--cluster=${clusterId}`,
    `--replica=${replica.index}`,
    `--replica-count=${replicas.length}`,
    "--development",
  ];
  await make(program, ["format", ...shape], replica.file, formatMs);
}

/** A replica that has lost its data file, to be recovered. Throws Problem if there is no such replica, or nothing is lost. */
export function requireLost({ replicas }: Cluster, index: number): Replica {
  const replica = replicas.find((one) => one.index === index);
  if (replica === undefined || replicas.length === 1) {
    throw new Problem(
      replicas.length < 2
        ? "there are no other replicas to recover one from: ./mesh up --replicas 3 makes a cluster of three"
        : `there is no replica ${index}: they are 0 to ${replicas.length - 1}`,
    );
  }
  if (existsSync(replica.file)) {
    throw new Problem(`replica ${index} has its data file ${replica.file}: nothing to recover`);
  }
  return replica;
}

/**
 * Makes a data file for a replica that has lost its own, from the others, which must run. Throws Problem if too few of them
 * answer.
 */
export async function recoverReplica(cluster: Cluster, replica: Replica): Promise<void> {
  const { clusterId, replicas, settings } = cluster;
  const program = requireTigerBeetle("");
  const shape = [
    `--cluster=${clusterId}`,
    `--addresses=${replicaAddresses(settings, replicas)}`,
    `--replica=${replica.index}`,
    `--replica-count=${replicas.length}`,
    "--development",
  ];
  await make(program, ["recover", ...shape], replica.file, recoverMs);
}

/** Beside its place and then moved: a file that was not finished never looks like a data file. */
async function make(
  program: string,
  command: readonly string[],
  file: string,
  timeoutMs: number,
): Promise<void> {
  const fresh = `${file}.new`;
  rmSync(fresh, { force: true });
  const result = await runProgram(program, [...command, fresh], { timeoutMs });
  if (result.code !== 0) {
    rmSync(fresh, { force: true });
    const why =
      result.code === undefined
        ? `not done within ${timeoutMs / 1_000} s`
        : lastLine(result.output);
    throw new Problem(`tigerbeetle could not ${command[0]} ${file}: ${why}`);
  }
  chmodSync(fresh, 0o600);
  renameSync(fresh, file);
  syncFolder(dirname(file));
}
