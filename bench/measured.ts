import { serviceNames } from "#common/service-names.ts";
import type { LoadResult, RpcTask } from "./load/task.ts";
import { quantiles } from "./quantiles.ts";
import type { BenchWorld } from "./world.ts";

/** What is aimed at: `min` of the rate or `max` of a time. */
export interface Aim {
  readonly field: "rate" | "p50Ms" | "p99Ms" | "cpuMicroseconds";
  readonly min?: number;
  readonly max?: number;
}

/** One line of the table. */
export interface Measured {
  readonly name: string;
  /** Intents, calls or transfers a second. */
  readonly rate?: number;
  readonly p50Ms?: number;
  readonly p99Ms?: number;
  readonly p999Ms?: number;
  /** CPU of one operation: in all services together, or in this process for what has no service. */
  readonly cpuMicroseconds?: number;
  /** The same by service. */
  readonly cpuByService?: Readonly<Record<string, number>>;
  /** Peak memory in MB. */
  readonly megabytes?: number;
  readonly aims?: readonly Aim[];
}

/** What ./mesh bench measures by one name. */
export interface Measure {
  readonly id: string;
  run(world: BenchWorld): Promise<readonly Measured[]>;
}

/** A task of clearings, one at a time unless `fields` say otherwise. */
export function clearTask(world: BenchWorld, fields: Partial<RpcTask>): RpcTask {
  return {
    ...world.task,
    kind: "clear",
    address: world.mesh.services.clearing.grpc,
    walletSigns: true,
    perCall: 1,
    pace: { inFlight: 1 },
    connections: 1,
    seconds: world.seconds,
    callsMax: 1,
    ...fields,
  };
}

type CpuByService = Readonly<Record<string, number>>;

/** The result of a load, and the CPU seconds that each service used meanwhile. */
export async function measured(
  world: BenchWorld,
  load: () => Promise<LoadResult>,
): Promise<[LoadResult, CpuByService]> {
  const before = world.cpuSeconds();
  const result = await load();
  const after = world.cpuSeconds();
  const used = serviceNames.flatMap((name) => {
    const [from, to] = [before[name], after[name]];
    return from === undefined || to === undefined ? [] : [[name, to - from] as const];
  });
  return [result, Object.fromEntries(used)];
}

export function lineOf(name: string, result: LoadResult, cpu: CpuByService = {}): Measured {
  const perOne = (seconds: number) => (seconds * 1e6) / result.done;
  const byService = Object.entries(cpu).map(([service, used]) => [service, perOne(used)] as const);
  return {
    name,
    rate: result.done / result.seconds,
    ...quantiles(result.latenciesMs),
    ...(byService.length === 0
      ? {}
      : {
          cpuMicroseconds: byService.reduce((sum, [, each]) => sum + each, 0),
          cpuByService: Object.fromEntries(byService),
        }),
  };
}

/** The line of what was measured one by one, in milliseconds. */
export function latencyLine(name: string, latenciesMs: readonly number[]): Measured {
  return { name, ...quantiles(latenciesMs.toSorted((a, b) => a - b)) };
}
