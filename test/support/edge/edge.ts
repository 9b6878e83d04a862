import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exportJWK, generateKeyPair } from "jose";
import { parse } from "yaml";
import { requireEnvoy } from "../../../cli/bring/envoy.ts";
import { renderEnvoyConfig } from "../../../cli/parts/envoy-config.ts";
import { keyFiles } from "../../../cli/state/keys.ts";
import { readSettings } from "../../../cli/state/settings.ts";
import { freePort } from "../rpc/free-port.ts";
import type { FaultyUpstreams } from "./faulty-upstreams.ts";

/** The header by which a request of a test says what shall happen to it. */
export const situationHeader = "x-situation";

/** A route to a situation: where it leads, and what of the route is other than usual. */
export interface SituationRoute {
  readonly upstream?: keyof Omit<FaultyUpstreams, "stop"> | "nowhere" | "full";
  readonly route?: Readonly<Record<string, unknown>>;
  readonly filters?: Readonly<Record<string, unknown>>;
}

/** The real Envoy with the real configuration, before upstreams that fail. */
export interface TestEdge {
  /** host:port */
  readonly address: string;
  stop(): Promise<void>;
}

interface EnvoyConfig {
  static_resources: { listeners: Listener[]; clusters: object[] };
}
interface Listener {
  filter_chains: { filters: { typed_config: ConnectionManager }[] }[];
}
interface ConnectionManager {
  route_config?: { virtual_hosts: { routes: object[] }[] };
}

/**
 * Starts it. Requests with the header of a situation take that one's route; all others those of the mesh, where no
 * service runs.
 */
export async function startEdge(
  upstreams: FaultyUpstreams,
  situations: Readonly<Record<string, SituationRoute>>,
): Promise<TestEdge> {
  const folder = mkdtempSync(join(tmpdir(), "edge-"));
  const port = await freePort();
  const root = join(import.meta.dirname, "../../..");
  const settings = readSettings({
    ENVOY_PORT: String(port),
    ENVOY_ADMIN_PORT: String(await freePort()),
    MESH_STATE: folder,
  });
  const jwks = join(folder, "jwks.json");
  const { publicKey } = await generateKeyPair("EdDSA");
  writeFileSync(
    jwks,
    JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), alg: "EdDSA" }] }),
  );
  const rendered = renderEnvoyConfig(settings).replaceAll(keyFiles(settings).jwks, jwks);
  const config = parse(rendered, { merge: true }) as EnvoyConfig;
  addSituations(config, upstreams, situations);
  const file = join(folder, "envoy.json");
  writeFileSync(file, JSON.stringify(config));
  const program = await requireEnvoy(root, () => undefined);
  const flags = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "error"];
  const envoy = spawn(program, ["-c", file, ...flags], { stdio: ["ignore", "ignore", "inherit"] });
  const address = `127.0.0.1:${port}`;
  try {
    await untilListening(address, envoy);
  } catch (error) {
    envoy.kill("SIGKILL");
    throw error;
  }
  return {
    address,
    async stop() {
      envoy.kill("SIGKILL");
      if (envoy.exitCode === null && envoy.signalCode === null) await once(envoy, "exit");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function addSituations(
  config: EnvoyConfig,
  upstreams: FaultyUpstreams,
  situations: Readonly<Record<string, SituationRoute>>,
): void {
  const { listeners, clusters } = config.static_resources;
  const host = listeners[0]?.filter_chains[0]?.filters.find(
    ({ typed_config }) => typed_config.route_config !== undefined,
  )?.typed_config.route_config?.virtual_hosts[0];
  if (host === undefined) throw new Error("the configuration of Envoy has another shape");
  const { stop: _, ...ports } = upstreams;
  for (const [name, port] of Object.entries({ ...ports, nowhere: undefined, full: ports.silent })) {
    clusters.push(cluster(`${name}_h1`, port, false), cluster(`${name}_h2`, port, true));
  }
  host.routes.unshift(
    ...Object.entries(situations).flatMap(([situation, { upstream, route, filters }]) =>
      ["h2", "h1"].map((http) => ({
        match: {
          prefix: "/",
          headers: [{ name: situationHeader, string_match: { exact: situation } }],
          ...(http === "h2" ? { grpc: {} } : {}),
        },
        route: { cluster: `${upstream ?? "silent"}_${http}`, timeout: "0s", ...route },
        ...(filters === undefined ? {} : { typed_per_filter_config: filters }),
      })),
    ),
  );
}

function cluster(name: string, port: number | undefined, isHttp2: boolean): object {
  const options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
  const socketAddress = { address: "127.0.0.1", port_value: port };
  const endpoint = { endpoint: { address: { socket_address: socketAddress } } };
  return {
    name,
    type: "STATIC",
    connect_timeout: "1s",
    load_assignment: {
      cluster_name: name,
      endpoints: port === undefined ? [] : [{ lb_endpoints: [endpoint] }],
    },
    ...(name.startsWith("full")
      ? { circuit_breakers: { thresholds: [{ max_requests: 0, max_pending_requests: 0 }] } }
      : {}),
    ...(isHttp2
      ? {
          typed_extension_protocol_options: {
            [options]: {
              "@type": `type.googleapis.com/${options}`,
              explicit_http_config: { http2_protocol_options: {} },
            },
          },
        }
      : {}),
  };
}

async function untilListening(address: string, envoy: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt += 1) {
    if (envoy.exitCode !== null) throw new Error(`Envoy ended with ${envoy.exitCode}`);
    const isUp = await fetch(`http://${address}/`).then(
      () => true,
      () => false,
    );
    if (isUp) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("Envoy does not listen");
}
