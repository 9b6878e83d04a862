import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parse } from "yaml";
import { requireEnvoy } from "../../../cli/bring/envoy.ts";
import { renderEnvoyConfig } from "../../../cli/parts/envoy-config.ts";
import { keyFiles } from "../../../cli/state/keys.ts";
import { readSettings, type Settings } from "../../../cli/state/settings.ts";
import { noteStarted } from "../../../cli/test/started.ts";
import { newStateFolder, privateEnvironment } from "../mesh/mesh.ts";
import type { EventStreamProcess } from "./process.ts";

/** An Envoy as a mesh has it, with replicas of EventStream and nothing else behind it. */
export interface EventStreamEnvoy {
  /** host:port */
  readonly address: string;
  /** Safe to repeat. */
  stop(): Promise<void>;
}

const startMs = 60_000;

/** Starts Envoy. `jwksPath`: the keys of those whose tokens it takes. */
export async function startEventStreamEnvoy(
  replicas: readonly EventStreamProcess[],
  jwksPath: string,
): Promise<EventStreamEnvoy> {
  const state = await newStateFolder();
  const settings = readSettings(await privateEnvironment(state));
  const { jwks } = keyFiles(settings);
  await mkdir(dirname(jwks), { recursive: true });
  await copyFile(jwksPath, jwks);
  const config = join(state, "envoy.json");
  await writeFile(config, JSON.stringify(configOf(settings, replicas)));
  const program = await requireEnvoy(settings.root, () => undefined);
  const flags = ["--disable-hot-restart", "--concurrency", "2", "--log-level", "critical"];
  const child = spawn(program, ["-c", config, ...flags], { stdio: "ignore" });
  noteStarted("envoy");
  const endWithTest = () => void child.kill("SIGKILL");
  process.once("exit", endWithTest);
  const stop = async () => {
    process.off("exit", endWithTest);
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    await rm(state, { recursive: true, force: true });
  };
  for (const deadlineMs = Date.now() + startMs; Date.now() < deadlineMs; ) {
    const admin = `http://${settings.host}:${settings.ports.envoyAdmin}/ready`;
    const isReady = await fetch(admin).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isReady) return { address: `${settings.host}:${settings.ports.envoy}`, stop };
    await sleep(50);
  }
  await stop();
  throw new Error("Envoy did not start");
}

interface EnvoyConfig {
  readonly static_resources: { readonly clusters: Cluster[] };
}

interface Cluster {
  readonly name: string;
  load_assignment: object;
}

/** The mesh's configuration, with the replicas as the endpoints of EventStream's clusters. */
function configOf(settings: Settings, replicas: readonly EventStreamProcess[]): EnvoyConfig {
  const config = parse(renderEnvoyConfig(settings), { merge: true }) as EnvoyConfig;
  for (const cluster of config.static_resources.clusters) {
    const endpoints = replicas.map(({ grpcPort, connectPort, metricsPort }) => {
      const address = (port: number) => ({
        socket_address: { address: settings.host, port_value: port },
      });
      if (cluster.name.startsWith("eventstream_grpc")) return { address: address(grpcPort) };
      const healthCheck = { health_check_config: { port_value: metricsPort } };
      return { address: address(connectPort), ...healthCheck };
    });
    if (!cluster.name.startsWith("eventstream_")) continue;
    cluster.load_assignment = {
      cluster_name: cluster.name,
      endpoints: [{ lb_endpoints: endpoints.map((endpoint) => ({ endpoint })) }],
    };
  }
  return config;
}
