import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { requireEnvoy } from "../bring/envoy.ts";
import type { KeyFiles } from "../state/keys.ts";
import {
  type ServiceName,
  type Settings,
  serviceNames,
  servicePorts,
  stripeSimPorts,
  studioPorts,
} from "../state/settings.ts";
import type { MeshIdentity } from "../state/state.ts";
import { renderEnvoyConfig } from "./envoy-config.ts";
import type { Launch, Part } from "./part.ts";
import { preparePostgres, probePostgres } from "./postgres.ts";
import { recordsEnvironment } from "./records-environment.ts";
import {
  checkoutStripe,
  stripeSimEnvironment,
  studioStripe,
  withoutStripe,
} from "./stripe-environment.ts";
import { buildStudio, isStudioBuilt } from "./studio-build.ts";
import { prepareTigerBeetle, probeTigerBeetle } from "./tigerbeetle.ts";

export interface Mesh {
  readonly settings: Settings;
  readonly identity: MeshIdentity;
  readonly keys: KeyFiles;
  /** What the user's environment adds to that of every part. */
  readonly environment: NodeJS.ProcessEnv;
}

/** The services that need the ledger; Attestor and Checkout need records alone. */
const onLedger: readonly ServiceName[] = ["clearing", "ledger", "eventstream"];

/** The parts of a mesh, each after what it depends on. `onInstall` is told before something is downloaded. */
export function meshParts(
  given: Mesh,
  onInstall: (what: string) => void = () => undefined,
): Part[] {
  const mesh = { ...given, environment: withoutStripe(given.environment) };
  const local = mesh.identity.engine === "tigerbeetle" && !mesh.identity.external;
  const engine = local ? [tigerbeetlePart(mesh)] : [];
  // Loading is what their start costs, so all wait for the same and load side by side.
  const services = serviceNames.map((name) =>
    servicePart(mesh, {
      name,
      dependsOn: ["postgres", ...(onLedger.includes(name) && local ? ["tigerbeetle"] : [])],
      environment: ownEnvironment(given, name),
    }),
  );
  const { stripeSim } = mesh.settings.ports;
  const stripe = stripeSim === undefined ? [] : [stripeSimPart(mesh, stripeSim)];
  const studio = studioPart(mesh, given.environment, onInstall);
  const envoy = envoyPart(mesh, onInstall);
  return [postgresPart(mesh), ...engine, ...services, ...stripe, studio, envoy];
}

/** What one service is told and no other part: its keys. */
function ownEnvironment(
  { settings, keys, environment }: Mesh,
  name: ServiceName,
): NodeJS.ProcessEnv {
  switch (name) {
    case "attestor":
      return { ATTESTOR_PRIVATE_KEY_FILE: keys.attestor };
    case "checkout":
      return {
        CHECKOUT_CREDENTIAL_KEY_FILE: keys.checkout,
        ...checkoutStripe(settings, keys, environment),
      };
    default:
      return {};
  }
}

function postgresPart({ settings, keys, environment }: Mesh): Part {
  return {
    name: "postgres",
    dependsOn: [],
    ports: [{ variable: "POSTGRES_PORT", port: settings.ports.postgres }],
    readyMs: 60_000,
    // "Fast": SIGTERM would wait for every client to leave.
    stopSignal: "SIGINT",
    stopMs: 10_000,
    async launch() {
      const { command, user } = await preparePostgres(settings, keys);
      return { command, env: environment, uid: user.uid, gid: user.gid };
    },
    probe: () => probePostgres(settings, keys),
  };
}

function tigerbeetlePart({ settings, identity, environment }: Mesh): Part {
  return {
    name: "tigerbeetle",
    dependsOn: [],
    ports: [{ variable: "TIGERBEETLE_PORT", port: settings.ports.tigerbeetle }],
    readyMs: 60_000,
    stopSignal: "SIGTERM",
    stopMs: 5_000,
    async launch() {
      return { command: await prepareTigerBeetle(settings, identity.clusterId), env: environment };
    },
    probe: () => probeTigerBeetle(settings),
  };
}

interface ServiceOptions {
  readonly name: ServiceName;
  readonly dependsOn: readonly string[];
  /** What it is told and no other part. */
  readonly environment: NodeJS.ProcessEnv;
}

function servicePart(mesh: Mesh, { name, dependsOn, environment }: ServiceOptions): Part {
  const { settings } = mesh;
  const ports = settings.ports.services[name];
  return {
    name,
    dependsOn,
    ports: servicePorts(name, ports),
    readyMs: 60_000,
    stopSignal: "SIGTERM",
    stopMs: 15_000,
    launch: () => Promise.resolve(launchService(mesh, name, environment)),
    async probe(signal) {
      await expectOk(`http://${settings.host}:${ports.metrics}/readyz`, signal);
      return meshVersion(settings.root);
    },
  };
}

function launchService(mesh: Mesh, name: ServiceName, own: NodeJS.ProcessEnv): Launch {
  const { settings, identity, keys, environment } = mesh;
  const { host } = settings;
  const at = (port: number) => `${host}:${port}`;
  const ports = settings.ports.services[name];
  return {
    command: [process.execPath, join(settings.root, "services", name, "main.ts")],
    env: {
      // Node keeps what it compiled, which halves the time of the next start.
      NODE_COMPILE_CACHE: join(settings.root, ".toolchain/compile-cache"),
      LOG_FORMAT: "json",
      DRAIN_GRACE_MS: "5000",
      ...environment,
      ...peerAddresses(settings),
      // What the mesh sets itself must not come from two sides; empty is absent.
      JWT_JWKS_URL: "",
      DATABASE_URL: "",
      ATTESTOR_PRIVATE_KEY: "",
      CHECKOUT_CREDENTIAL_KEY: "",
      EMBEDDED_LEDGER_PATH: "",
      TIGERBEETLE_ADDRESSES: "",
      GRPC_ADDRESS: at(ports.grpc),
      CONNECT_ADDRESS: at(ports.connect),
      METRICS_ADDRESS: at(ports.metrics),
      JWT_JWKS_FILE: keys.jwks,
      JWT_ISSUER: settings.jwt.issuer,
      JWT_AUDIENCE: settings.jwt.audience,
      ...recordsEnvironment(settings, identity, keys),
      ...own,
    },
  };
}

/** The simulator of Stripe, where nobody gave a key for Stripe itself. Whoever needs it waits for it by itself. */
function stripeSimPart({ settings, identity, keys, environment }: Mesh, port: number): Part {
  return {
    name: "stripe-sim",
    dependsOn: [],
    ports: stripeSimPorts(port),
    readyMs: 60_000,
    stopSignal: "SIGTERM",
    stopMs: 15_000,
    launch: async () => ({
      command: [process.execPath, join(settings.root, "services/stripe-sim/main.ts")],
      env: {
        NODE_COMPILE_CACHE: join(settings.root, ".toolchain/compile-cache"),
        LOG_FORMAT: "json",
        DRAIN_GRACE_MS: "5000",
        ...environment,
        SOVR_ENVIRONMENT: identity.environment,
        ...stripeSimEnvironment(settings, keys, port),
      },
    }),
    async probe(signal) {
      await expectOk(`http://${settings.host}:${port}/healthz`, signal);
      return meshVersion(settings.root);
    },
  };
}

/** Studio's server. What it gives away in /dev/ needs the services, but its start needs nothing. */
function studioPart(
  { settings, identity, keys, environment }: Mesh,
  user: NodeJS.ProcessEnv,
  onInstall: (what: string) => void,
): Part {
  const { host } = settings;
  const { connect, metrics } = settings.ports.studio;
  return {
    name: "studio",
    dependsOn: [],
    ports: studioPorts(settings.ports.studio),
    readyMs: 60_000,
    stopSignal: "SIGTERM",
    stopMs: 15_000,
    async prepare(signal) {
      if (isStudioBuilt(settings.root)) return;
      onInstall("Studio");
      await buildStudio(settings.root, signal);
    },
    launch: async () => ({
      command: [process.execPath, join(settings.root, "services/studio/main.ts")],
      env: {
        NODE_COMPILE_CACHE: join(settings.root, ".toolchain/compile-cache"),
        LOG_FORMAT: "json",
        DRAIN_GRACE_MS: "5000",
        ...environment,
        CONNECT_ADDRESS: `${host}:${connect}`,
        METRICS_ADDRESS: `${host}:${metrics}`,
        SOVR_ENVIRONMENT: identity.environment,
        JWT_ISSUER: settings.jwt.issuer,
        JWT_AUDIENCE: settings.jwt.audience,
        ...developmentEnvironment(identity.environment, keys),
        ...studioStripe(settings, keys, user),
        ...peerAddresses(settings),
      },
    }),
    async probe(signal) {
      await expectOk(`http://${host}:${metrics}/readyz`, signal);
      return meshVersion(settings.root);
    },
  };
}

/** The key with which Studio gives tokens and play money to everybody; a mesh that calls itself production has none. */
function developmentEnvironment(environment: string, keys: KeyFiles): NodeJS.ProcessEnv {
  const key = /^prod/i.test(environment) ? "" : keys.issuer;
  return { DEVELOPMENT_ISSUER_KEY: "", DEVELOPMENT_ISSUER_KEY_FILE: key };
}

/** Where every service finds every other. */
function peerAddresses({ host, ports }: Settings): NodeJS.ProcessEnv {
  return Object.fromEntries(
    serviceNames.map((peer) => [
      `${peer.toUpperCase()}_ADDRESS`,
      `${host}:${ports.services[peer].grpc}`,
    ]),
  );
}

function envoyPart({ settings, environment }: Mesh, onInstall: (what: string) => void): Part {
  const admin = `http://${settings.host}:${settings.ports.envoyAdmin}`;
  let program: string | undefined;
  const findEnvoy = async (signal?: AbortSignal): Promise<string> => {
    program ??= await requireEnvoy(settings.root, () => onInstall("Envoy"), signal);
    return program;
  };
  return {
    name: "envoy",
    dependsOn: [
      ...serviceNames,
      ...(settings.ports.stripeSim === undefined ? [] : ["stripe-sim"]),
      "studio",
    ],
    ports: [
      { variable: "ENVOY_PORT", port: settings.ports.envoy },
      { variable: "ENVOY_ADMIN_PORT", port: settings.ports.envoyAdmin },
    ],
    readyMs: 30_000,
    stopSignal: "SIGTERM",
    stopMs: 5_000,
    async prepare(signal) {
      await findEnvoy(signal);
    },
    async launch() {
      const config = join(settings.state, "envoy.yaml");
      writeFileSync(config, renderEnvoyConfig(settings));
      const flags = ["--disable-hot-restart", "--concurrency", "2", "--log-level", "warning"];
      return { command: [await findEnvoy(), "-c", config, ...flags], env: environment };
    },
    async probe(signal) {
      await expectOk(`${admin}/ready`, signal);
      const info = (await (await fetch(`${admin}/server_info`, { signal })).json()) as {
        version?: string;
      };
      return info.version?.split("/")[1] ?? "unknown";
    },
  };
}

/** The version of the mesh: the package's. */
export function meshVersion(root: string): string {
  return (JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string })
    .version;
}

async function expectOk(url: string, signal: AbortSignal): Promise<void> {
  const response = await fetch(url, { signal });
  const text = await response.text();
  if (response.ok) return;
  const missing = missingDependencies(text);
  throw new Error(
    missing ? `waits for ${missing}` : `${new URL(url).pathname} answers ${response.status}`,
  );
}

/** The names in a service's answer of what it is not ready for; empty if the answer is none. */
function missingDependencies(readiness: string): string {
  try {
    const { dependencies } = JSON.parse(readiness) as {
      dependencies: readonly { readonly name: string; readonly ok: boolean }[];
    };
    return dependencies
      .filter(({ ok }) => !ok)
      .map(({ name }) => name)
      .join(", ");
  } catch {
    return "";
  }
}
