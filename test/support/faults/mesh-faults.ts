import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import { createRpcClient } from "#common/rpc/client.ts";
import { type ServiceName, serviceNames } from "#common/service-names.ts";
import { EventStreamService } from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { replicasOf } from "../../../cli/parts/replicas.ts";
import { isRunning } from "../../../cli/state/process-identity.ts";
import { readState } from "../../../cli/state/state.ts";
import type { TestDisk } from "../disk/disk.ts";
import type { TestMesh } from "../mesh/mesh.ts";
import { signalPostgres } from "../postgres/postgres.ts";
import type { TcpProxy } from "../rpc/tcp-proxy.ts";

/** One thing that goes wrong with a mesh. */
export interface Fault {
  readonly name: string;
  /** The services whose callers feel it: once they are served again, it is over. */
  readonly hits: readonly ServiceName[];
  /** Does it, and undoes after so many milliseconds what does not pass by itself. Resolves when that is done. */
  happen(lengthMs: number): Promise<void>;
}

export interface FaultWorld {
  readonly mesh: TestMesh;
  /** Between clients and the edge. */
  readonly proxy: TcpProxy;
  /** Where its state lies, if that is a disk of its own. */
  readonly disk: TestDisk | undefined;
}

/** To end what hangs, and far above what a slow machine needs. */
const patience = { timeout: 120_000, interval: 100 };

/** Every fault that a mesh can meet here: that of a disk needs one of its own. */
export function meshFaults(world: FaultWorld): readonly Fault[] {
  const { mesh, disk } = world;
  const services: readonly string[] = [...serviceNames, "stripe-sim"];
  const replicas = replicasOf(mesh.settings, mesh.identity).map(({ name }) => name);
  return [
    ...[...services, "studio", "envoy", "postgres", ...replicas].map((name) => kill(mesh, name)),
    ...[...services, "envoy", ...replicas].map((name) => pause(mesh, name)),
    pausePostgres(mesh),
    restart(mesh, "clearing"),
    restart(mesh, "eventstream"),
    killSupervisor(mesh),
    killAll(mesh, serviceNames),
    ...(replicas.length > 1 ? [killAll(mesh, replicas)] : []),
    ...(disk === undefined ? [] : [fullDisk(disk)]),
    ...networkFaults(world),
  ];
}

/** Whose callers feel a part. */
function hitsOf(part: string): readonly ServiceName[] {
  if (part === "envoy") return serviceNames;
  if (part === "postgres") return ["attestor", "clearing"];
  if (part.startsWith("tigerbeetle")) return ["clearing"];
  return serviceNames.filter((name) => name === part);
}

/** kill -9; the supervisor starts it again. */
export function kill(mesh: TestMesh, name: string): Fault {
  return {
    name: `kill ${name}`,
    hits: hitsOf(name),
    happen: async () => void signalPart(mesh, name, "SIGKILL"),
  };
}

/** kill -9 of several at the same moment. */
export function killAll(mesh: TestMesh, names: readonly string[]): Fault {
  return {
    name: `kill ${names.join(" and ")}`,
    hits: [...new Set(names.flatMap(hitsOf))],
    happen: async () => {
      for (const name of names) signalPart(mesh, name, "SIGKILL");
    },
  };
}

/** Stopped in its tracks: it takes connections and answers nobody. */
export function pause(mesh: TestMesh, name: string): Fault {
  return {
    name: `pause ${name}`,
    hits: hitsOf(name),
    happen: async (lengthMs) => {
      const pid = signalPart(mesh, name, "SIGSTOP");
      await sleep(lengthMs);
      if (pid !== undefined) signalProcess(pid, "SIGCONT");
    },
  };
}

function restart(mesh: TestMesh, name: string): Fault {
  return {
    name: `restart ${name}`,
    hits: hitsOf(name),
    happen: async () => void signalPart(mesh, name, "SIGTERM"),
  };
}

function pausePostgres(mesh: TestMesh): Fault {
  return {
    name: "pause postgres",
    hits: hitsOf("postgres"),
    happen: async (lengthMs) => {
      const pid = signalPart(mesh, "postgres", "SIGSTOP");
      if (pid === undefined) return;
      await signalPostgres(pid, "SIGSTOP");
      await sleep(lengthMs);
      await signalPostgres(pid, "SIGCONT");
    },
  };
}

/** Whoever comes after it adopts what still serves. */
function killSupervisor(mesh: TestMesh): Fault {
  return {
    name: "kill the supervisor",
    hits: [],
    happen: async () => {
      const supervisor = readState(mesh.settings)?.supervisor;
      if (supervisor === undefined) throw new Error("a mesh has one");
      signalProcess(supervisor.pid, "SIGKILL");
      await expect.poll(() => isRunning(supervisor), patience).toBe(false);
      const again = await mesh.run("up", "--detach");
      expect(again, again.stderr).toMatchObject({ code: 0 });
    },
  };
}

/** Of everything: records, ledger, logs, what the supervisor writes down. */
export function fullDisk(disk: TestDisk): Fault {
  return {
    name: "a full disk",
    hits: serviceNames,
    happen: async (lengthMs) => {
      disk.fill();
      try {
        await sleep(lengthMs);
      } finally {
        disk.free();
      }
    },
  };
}

const dripStallMs = 150;
const dripFlowMs = 30;

function networkFaults({ mesh, proxy }: FaultWorld): readonly Fault[] {
  return [
    {
      name: "a subscriber who reads nothing",
      hits: [],
      happen: async (lengthMs) => {
        using client = createRpcClient(EventStreamService, {
          address: mesh.address,
          token: () => mesh.token(),
          defaultTimeoutMs: lengthMs,
        });
        // Whether it came to begin is no matter: EventStream may be away.
        const start = { case: "earliest", value: true } as const;
        const stream = client.subscribe({ start }, { timeoutMs: 2 * lengthMs });
        await stream[Symbol.asyncIterator]()
          .next()
          .catch(() => undefined);
        await sleep(lengthMs);
      },
    },
    {
      name: "a slow network to the edge",
      hits: serviceNames,
      happen: async (lengthMs) => {
        for (const endMs = performance.now() + lengthMs; performance.now() < endMs; ) {
          proxy.stall();
          await sleep(dripStallMs);
          proxy.flow();
          await sleep(dripFlowMs);
        }
      },
    },
    {
      name: "cut the connections to the edge",
      hits: serviceNames,
      happen: async () => proxy.cut(),
    },
    {
      name: "stall the network to the edge",
      hits: serviceNames,
      happen: async (lengthMs) => {
        proxy.stall();
        await sleep(lengthMs);
        proxy.flow();
      },
    },
  ];
}

/** Its process; undefined if it is dead already, and the supervisor about to start it. */
function signalPart(mesh: TestMesh, name: string, signal: NodeJS.Signals): number | undefined {
  const part = readState(mesh.settings)?.parts.find((candidate) => candidate.name === name);
  return part !== undefined && isRunning(part) && signalProcess(part.pid, signal)
    ? part.pid
    : undefined;
}

function signalProcess(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}
