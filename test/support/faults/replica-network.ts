import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { findProgram } from "../../../cli/command/run-program.ts";
import { freePortRun } from "../rpc/free-port.ts";
import { startTcpProxy, type TcpProxy } from "../rpc/tcp-proxy.ts";

/** The network between the replicas of a mesh: each way from one to another is a proxy of its own. */
export interface ReplicaNetwork {
  /** What the mesh must be started with. */
  readonly environment: NodeJS.ProcessEnv;
  /** Lets nothing pass from or to a replica, and says nothing: as a cable that was pulled. Clients still reach it. */
  cutOff(replica: number): void;
  /** Lets all pass again. */
  join(): void;
  stop(): Promise<void>;
}

interface Way {
  readonly from: number;
  readonly to: number;
  readonly proxy: TcpProxy;
}

/**
 * Prepares it. The mesh's `tigerbeetle` is a script that tells each replica to go through the proxies to the others.
 * `disks`: folders in which the data of some replicas lies, by their index; the mesh sees links to there.
 */
export async function startReplicaNetwork(
  count: number,
  disks: ReadonlyMap<number, string> = new Map(),
): Promise<ReplicaNetwork> {
  const program = findProgram("tigerbeetle");
  if (program === undefined) throw new Error("tigerbeetle is not on PATH");
  const first = await freePortRun(count);
  const ways: Way[] = [];
  for (const [from, to] of pairs(count)) {
    ways.push({ from, to, proxy: await startTcpProxy(`127.0.0.1:${first + to}`) });
  }
  const folder = mkdtempSync(join(tmpdir(), "sovr-replica-network-"));
  writeFileSync(join(folder, "tigerbeetle"), script({ program, first, count, ways, disks }), {
    mode: 0o755,
  });
  const { PATH = "" } = process.env;
  return {
    environment: { PATH: `${folder}${delimiter}${PATH}`, TIGERBEETLE_PORT: String(first) },
    cutOff(replica) {
      for (const { from, to, proxy } of ways) {
        if (from === replica || to === replica) proxy.stall();
      }
    },
    join() {
      for (const { proxy } of ways) proxy.flow();
    },
    async stop() {
      await Promise.all(ways.map(({ proxy }) => proxy.stop()));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function pairs(count: number): readonly (readonly [number, number])[] {
  const all = Array.from({ length: count }, (_, index) => index);
  return all.flatMap((from) => all.flatMap((to) => (from === to ? [] : [[from, to] as const])));
}

interface ScriptOptions {
  readonly program: string;
  readonly first: number;
  readonly count: number;
  readonly ways: readonly Way[];
  readonly disks: ReadonlyMap<number, string>;
}

/** A replica knows itself by its data file, which comes last. */
function script({ program, first, count, ways, disks }: ScriptOptions): string {
  const cases = Array.from({ length: count }, (_, self) => {
    const ports = Array.from({ length: count }, (_entry, other) => {
      const way = ways.find(({ from, to }) => from === self && to === other);
      return `127.0.0.1:${way?.proxy.port ?? first + self}`;
    });
    return `  start:*tigerbeetle-${self}.data) addresses=${ports.join(",")} ;;`;
  });
  const homes = [...disks].map(
    ([self, folder]) => `  format:*tigerbeetle-${self}.data.new) home=${folder}/${self}.data ;;`,
  );
  return `#!/bin/sh
addresses= home=
for last; do :; done
case "$1:$last" in
${[...cases, ...homes].join("\n")}
esac
[ -z "$addresses" ] || exec ${program} start --addresses="$addresses" --development "$last"
[ -z "$home" ] || { ln -s "$home" "$last" && exec ${program} "$1" "$2" "$3" "$4" "$5" "$home"; }
exec ${program} "$@"
`;
}
