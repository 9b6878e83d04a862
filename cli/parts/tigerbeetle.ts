import { connect } from "node:net";
import { Problem } from "../command/problem.ts";
import { findProgram, runProgram } from "../command/run-program.ts";
import type { Launch, Mesh, Part } from "./part.ts";
import { type Cluster, formatOnce, lossOf, requireTigerBeetle } from "./replica-files.ts";
import { type Replica, replicaAddresses, replicaPorts, replicasOf } from "./replicas.ts";

/** A batch of a replica that runs with --development. */
export const developmentBatchMax = 253;

/**
 * How a replica of a developer runs. --development: smaller buffers and no direct I/O, so that it runs on any disk. A
 * replica takes eight clients and what this experimental option adds, and resets the connection of every other; the mesh
 * has seven, so beside them stood one command that reads the ledger, and the second was told that it does not answer.
 * Eight more cost 64 MB.
 */
export const developmentFlags = [
  "--development",
  "--experimental",
  "--limit-pipeline-requests=8",
] as const;

/** The replicas of the cluster that runs on this machine; none where it runs elsewhere, or is the embedded engine. */
export function tigerbeetleParts({ settings, identity, environment }: Mesh): Part[] {
  const replicas = replicasOf(settings, identity);
  const cluster = { settings, clusterId: identity.clusterId, replicas };
  // All replicas start at once, and the files are made by the first that comes.
  let formatted: Promise<void> | undefined;
  const format = (program: string) => {
    formatted ??= formatOnce(cluster, program).finally(() => {
      formatted = undefined;
    });
    return formatted;
  };
  return replicas.map((replica) => ({
    name: replica.name,
    dependsOn: [],
    ports: replicaPorts(replica),
    readyMs: 60_000,
    stopSignal: "SIGTERM",
    stopMs: 5_000,
    // The others carry on without one that is lost, and only while they run it can be recovered.
    ...(replicas.length > 1 ? { isSpare: () => lossOf(cluster, replica) !== undefined } : {}),
    launch: () => launch(cluster, replica, format, environment),
    probe: () => probe(cluster, replica),
  }));
}

/**
 * Says how to start a replica, whose data file is there, or is made if the cluster is new. Throws Problem if its file is
 * lost.
 */
async function launch(
  cluster: Cluster,
  replica: Replica,
  format: (program: string) => Promise<void>,
  env: NodeJS.ProcessEnv,
): Promise<Launch> {
  const { settings, replicas } = cluster;
  const program = requireTigerBeetle(replicas.length > 1 ? "--replicas" : "--engine tigerbeetle");
  await format(program);
  const loss = lossOf(cluster, replica);
  if (loss !== undefined) throw new Problem(loss);
  const addresses = `--addresses=${replicaAddresses(settings, replicas)}`;
  return { command: [program, "start", addresses, ...developmentFlags, replica.file], env };
}

/**
 * The version of the replica, once it listens: its clients wait for the rest. "" where the program is not on PATH, as in
 * another shell than the one that started it. Throws while it does not listen.
 */
async function probe(cluster: Cluster, replica: Replica): Promise<string> {
  try {
    await connects(cluster.settings.host, replica.port);
  } catch (error) {
    throw new Error(lossOf(cluster, replica) ?? (error as Error).message, { cause: error });
  }
  const program = findProgram("tigerbeetle");
  if (program === undefined) return "";
  const { output } = await runProgram(program, ["version"], { timeoutMs: 5_000 });
  return /version ([0-9.]+)/.exec(output)?.[1] ?? "unknown";
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
