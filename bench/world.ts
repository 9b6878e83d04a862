import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { type IntentDomain, intentDomain } from "#common/intent/digest.ts";
import { addressOfPrivateKey } from "#common/intent/signature.ts";
import { type ServiceName, serviceNames } from "#common/service-names.ts";
import type { EngineConfig } from "#common/tigerbeetle/open-client.ts";
import { ClearingService } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { keyFiles, newPrivateKey } from "../cli/state/keys.ts";
import { startTigerBeetle, type TestTigerBeetle } from "../test/support/ledger/tigerbeetle.ts";
import { startMesh, type TestMesh } from "../test/support/mesh/mesh.ts";
import { mergeResults, runLoads } from "./load/run.ts";
import type { LoadTask, RpcTask } from "./load/task.ts";
import { cpuSecondsOf, peakMegabytesOf } from "./process-usage.ts";

export type BenchEngine = "embedded" | "tigerbeetle";

/** A private mesh under load, its parts as it would run them anywhere. */
export interface BenchWorld {
  readonly mesh: TestMesh;
  readonly engine: BenchEngine;
  /** Seconds a measure takes. */
  readonly seconds: number;
  /** What every task of this mesh needs. */
  readonly task: Pick<RpcTask, "domain" | "attestorKey" | "walletKeys" | "token">;
  /** CPU seconds that each service has used so far; empty where /proc does not tell. */
  cpuSeconds(): Readonly<Partial<Record<ServiceName, number>>>;
  /** The most memory that each service has had, in MB; empty where /proc does not tell. */
  peakMegabytes(): Readonly<Partial<Record<ServiceName, number>>>;
  stop(): Promise<void>;
}

const walletCount = 200;
// The profiler's signal ends the sleep in which SQLite waits for a lock; at the default of one a millisecond its ten
// seconds of patience would be over in a tenth of one.
const profileFlags = "--cpu-prof --cpu-prof-interval=10000";
/** Cents that each wallet has for its purchases. */
const fundings = 100;
/** As many intents of a wallet in a minute as one can say. */
const intentsPerWalletAndMinute = "1000000";

export interface BenchOptions {
  readonly engine: BenchEngine;
  readonly seconds: number;
  /** A folder into which every service writes its CPU profile when it ends. */
  readonly profileFolder?: string | undefined;
}

/** Starts a mesh on an engine, with wallets that are open and have money. */
export async function startBenchWorld(options: BenchOptions): Promise<BenchWorld> {
  const { engine, seconds, profileFolder } = options;
  const server = engine === "tigerbeetle" ? await startTigerBeetle(0n, "full") : undefined;
  let mesh: TestMesh | undefined;
  try {
    const cluster = server && {
      TIGERBEETLE_ADDRESSES: server.address,
      TIGERBEETLE_CLUSTER_ID: "0",
    };
    mesh = await startMesh({
      engine,
      environment: {
        ...cluster,
        INTENTS_PER_WALLET_AND_MINUTE: intentsPerWalletAndMinute,
        ...(profileFolder === undefined
          ? {}
          : { NODE_OPTIONS: `${profileFlags} --cpu-prof-dir=${profileFolder}` }),
      },
    });
    return await prepareWorld(mesh, server, engine, seconds);
  } catch (error) {
    await mesh?.stop();
    await server?.stop();
    throw error;
  }
}

async function prepareWorld(
  mesh: TestMesh,
  server: TestTigerBeetle | undefined,
  engine: BenchEngine,
  seconds: number,
): Promise<BenchWorld> {
  const walletKeys = Array.from({ length: walletCount }, () => newPrivateKey().toString("hex"));
  const attestorKey = readFileSync(keyFiles(mesh.settings).attestor, "utf8").slice(2);
  const task = { domain: domainOf(mesh), attestorKey, walletKeys, token: await mesh.token() };
  const world: BenchWorld = {
    mesh,
    engine,
    seconds,
    task,
    cpuSeconds: () => ofServices(mesh, cpuSecondsOf),
    peakMegabytes: () => ofServices(mesh, peakMegabytesOf),
    stop: async () => {
      await mesh.stop();
      await server?.stop();
    },
  };
  await openWallets(mesh, walletKeys);
  await fundWallets(world);
  return world;
}

function domainOf({ identity }: TestMesh): IntentDomain {
  return intentDomain({
    environment: identity.environment,
    clusterId: BigInt(identity.clusterId),
    chainId: BigInt(identity.chainId),
    verifyingContract: identity.verifyingContract,
  });
}

async function openWallets(mesh: TestMesh, keys: readonly string[]): Promise<void> {
  const clearing = createClient(ClearingService, mesh.client().transport);
  const addresses = keys.map((key) => addressOfPrivateKey(Buffer.from(key, "hex")));
  for (let first = 0; first < addresses.length; first += 50) {
    const some = addresses.slice(first, first + 50);
    await Promise.all(some.map((wallet) => clearing.openWallet({ wallet, ledger: 1 })));
  }
}

async function fundWallets(world: BenchWorld): Promise<void> {
  const task: RpcTask = {
    ...world.task,
    kind: "clear-batch",
    address: world.mesh.services.clearing.grpc,
    walletSigns: false,
    perCall: walletCount * 10,
    pace: { inFlight: 1 },
    connections: 1,
    seconds: 60,
    callsMax: fundings / 10,
  };
  const { failed, firstFailure } = mergeResults(await runLoads([task]));
  if (failed > 0) throw new Error(`the wallets could not be funded: ${firstFailure}`);
}

function ofServices(
  mesh: TestMesh,
  read: (pid: number) => number,
): Partial<Record<ServiceName, number>> {
  if (process.platform !== "linux") return {};
  return Object.fromEntries(serviceNames.map((name) => [name, read(mesh.part(name).pid)]));
}

/** Runs work on an engine with nothing in it and nothing beside it. */
export async function withBareEngine<T>(
  engine: BenchEngine,
  work: (config: EngineConfig) => Promise<T>,
): Promise<T> {
  const common = { clusterId: 0n, batchMax: 8_189 };
  if (engine === "tigerbeetle") {
    const server = await startTigerBeetle(0n, "full");
    try {
      return await work({ ...common, engine: { kind: engine, addresses: [server.address] } });
    } finally {
      await server.stop();
    }
  }
  const folder = mkdtempSync(join(tmpdir(), "sovr-bench-"));
  try {
    return await work({ ...common, engine: { kind: engine, path: join(folder, "ledger.db") } });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs tasks as one load. Failures are told, and end the bench: what fails is not fast. */
export async function measureLoad(tasks: readonly LoadTask[]) {
  const result = mergeResults(await runLoads(tasks));
  if (result.failed > 0) throw new Error(`${result.failed} calls failed: ${result.firstFailure}`);
  return result;
}
