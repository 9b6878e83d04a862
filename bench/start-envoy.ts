import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { renderEnvoyConfig } from "../scripts/lib/envoy-config.ts";
import { requireEnvoy } from "../scripts/lib/envoy-program.ts";
import { keyFiles } from "../scripts/lib/keys.ts";
import { readSettings } from "../scripts/lib/settings.ts";
import type { EventStreamProcess } from "../test/support/event-stream-process.ts";
import { newStateFolder, privateEnvironment } from "../test/support/mesh.ts";

/** An Envoy as a mesh has it, with an EventStream and nothing else behind it. */
export interface BenchEnvoy {
  /** host:port */
  readonly address: string;
  stop(): Promise<void>;
}

const startMs = 20_000;

/** Starts Envoy. `jwksPath`: the keys of those whose tokens it takes. */
export async function startEnvoy(
  service: EventStreamProcess,
  jwksPath: string,
): Promise<BenchEnvoy> {
  const state = await newStateFolder();
  const settings = readSettings({
    ...(await privateEnvironment(state)),
    EVENTSTREAM_GRPC_PORT: String(service.grpcPort),
    EVENTSTREAM_CONNECT_PORT: String(service.connectPort),
    EVENTSTREAM_METRICS_PORT: String(service.metricsPort),
  });
  const { jwks } = keyFiles(settings);
  await mkdir(dirname(jwks), { recursive: true });
  await copyFile(jwksPath, jwks);
  const config = join(state, "envoy.yaml");
  await writeFile(config, renderEnvoyConfig(settings));
  const program = await requireEnvoy(settings.root, () => undefined);
  const flags = ["--disable-hot-restart", "--concurrency", "2", "--log-level", "critical"];
  const child = spawn(program, ["-c", config, ...flags], { stdio: "ignore" });
  const endWithBench = () => void child.kill("SIGKILL");
  process.once("exit", endWithBench);
  const stop = async () => {
    process.off("exit", endWithBench);
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
