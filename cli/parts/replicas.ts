import { join } from "node:path";
import { Problem } from "../command/problem.ts";
import type { NamedPort, Settings } from "../state/settings.ts";
import type { MeshIdentity } from "../state/state.ts";

/** One replica of the TigerBeetle cluster that runs on this machine. */
export interface Replica {
  /** Its place in the cluster, from 0; the same in the list of addresses. */
  readonly index: number;
  /** The part's name: `tigerbeetle`, or `tigerbeetle-<index>` where there are several. */
  readonly name: string;
  readonly port: number;
  /** Its data. */
  readonly file: string;
}

const portMax = 65_535;

/** How many replicas run on this machine: none for the embedded engine and for a cluster that runs elsewhere. */
export function replicaCount({ engine, external, replicas = 1 }: MeshIdentity): number {
  return engine === "tigerbeetle" && !external ? replicas : 0;
}

/** The replicas of a mesh, in the order of their addresses: TIGERBEETLE_PORT and the ports after it. */
export function replicasOf(settings: Settings, identity: MeshIdentity): readonly Replica[] {
  const count = replicaCount(identity);
  const first = settings.ports.tigerbeetle;
  if (first + count - 1 > portMax) {
    throw new Problem(
      `TIGERBEETLE_PORT is ${first}, and ${count} replicas listen there and on the ports after it: choose a lower one`,
    );
  }
  return Array.from({ length: count }, (_, index) => {
    const name = count === 1 ? "tigerbeetle" : `tigerbeetle-${index}`;
    return { index, name, port: first + index, file: join(settings.state, `${name}.data`) };
  });
}

/** What every replica and every client is told: host:port of each, in order, comma-separated. */
export function replicaAddresses(settings: Settings, replicas: readonly Replica[]): string {
  return replicas.map(({ port }) => `${settings.host}:${port}`).join(",");
}

export function replicaPorts({ port }: Replica): readonly NamedPort[] {
  return [{ variable: "TIGERBEETLE_PORT", port }];
}

/** How many replicas must be there for the cluster to go on, and to bring back one that is lost. */
export function quorumOf(count: number): number {
  return Math.floor(count / 2) + 1;
}
