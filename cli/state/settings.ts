import { join, resolve } from "node:path";
import {
  type Environment,
  readInteger,
  readOneOf,
  readOptionalString,
  readString,
  readU128,
} from "#common/process/environment.ts";
import { defaultPorts, type ServiceName, serviceNames } from "#common/service-names.ts";
import { Problem } from "../command/problem.ts";

export const engines = ["embedded", "tigerbeetle"] as const;
export type Engine = (typeof engines)[number];

export interface ServicePorts {
  readonly grpc: number;
  readonly connect: number;
  readonly metrics: number;
}

export interface StudioPorts {
  /** The app's files, over plain HTTP. */
  readonly connect: number;
  readonly metrics: number;
}

export interface Ports {
  readonly services: Readonly<Record<ServiceName, ServicePorts>>;
  readonly studio: StudioPorts;
  readonly envoy: number;
  readonly envoyAdmin: number;
  readonly postgres: number;
  /** Of the first replica on this machine; further ones have the ports after it. */
  readonly tigerbeetle: number;
  /** The simulator of Stripe. Undefined: there is none, because there is a key for Stripe itself, or it is production. */
  readonly stripeSim: number | undefined;
  /** Of its metrics and plain health. */
  readonly stripeSimMetrics: number;
  /** The provider of identities for development. It runs only with --sign-in, and where OIDC_ISSUER names no other. */
  readonly identity: number;
}

/** Where a mesh lives on this machine. */
export interface Settings {
  /** The repository. */
  readonly root: string;
  /** The state folder: `.mesh`, or MESH_STATE. */
  readonly state: string;
  readonly ports: Ports;
  /** Everything listens here and nowhere else. */
  readonly host: "127.0.0.1";
  /** MESH_TLS, or --tls: everything is encrypted, with certificates of the mesh's own authority. */
  readonly tls: boolean;
  /** MESH_SIGN_IN, or --sign-in: whoever wants a token of Studio's signs in. */
  readonly signIn: boolean;
  /** Whether the provider of identities is one that runs here: OIDC_ISSUER names no other. */
  readonly identityHere: boolean;
  readonly jwt: { readonly issuer: string; readonly audience: string };
  /** SOVR_ENVIRONMENT: goes into the salt of the signing domain. */
  readonly environment: string;
  /** TIGERBEETLE_ADDRESSES: a cluster that runs elsewhere, or undefined. */
  readonly tigerbeetleAddresses: string | undefined;
  /** TIGERBEETLE_CLUSTER_ID, or undefined. */
  readonly clusterId: bigint | undefined;
  /** APPROVALS_PATH: the file of approval policies; "": there is none, and nothing needs approval. */
  readonly approvalsPath: string;
  /** A regular expression for the browser origins that may call. */
  readonly studioOrigins: string;
  /** EDGE_TRUSTED_HOPS: how many proxies before Envoy are believed about a client's address. */
  readonly edgeTrustedHops: number;
  /** EDGE_LOG_SUCCESS_PERCENT: how many of the calls that went well Envoy logs, of a hundred. */
  readonly edgeLogSuccessPercent: number;
}

export const repositoryRoot = resolve(import.meta.dirname, "../..");

const localOrigins = "^https?://(localhost|127\\.0\\.0\\.1)(:[0-9]{1,5})?$";

/** Reads the settings; a bad value is a ConfigError that names the variable and the value. */
export function readSettings(environment: Environment): Settings {
  const service = (name: ServiceName): ServicePorts => {
    const prefix = name.toUpperCase();
    const defaults = defaultPorts(name);
    return {
      grpc: readPort(environment, `${prefix}_GRPC_PORT`, defaults.grpc),
      connect: readPort(environment, `${prefix}_CONNECT_PORT`, defaults.connect),
      metrics: readPort(environment, `${prefix}_METRICS_PORT`, defaults.metrics),
    };
  };
  const state = resolve(repositoryRoot, readString(environment, "MESH_STATE", ".mesh"));
  const settings: Settings = {
    root: repositoryRoot,
    state,
    ports: {
      services: Object.fromEntries(serviceNames.map((name) => [name, service(name)])) as Record<
        ServiceName,
        ServicePorts
      >,
      studio: {
        connect: readPort(environment, "STUDIO_CONNECT_PORT", 5206),
        metrics: readPort(environment, "STUDIO_METRICS_PORT", 5306),
      },
      envoy: readPort(environment, "ENVOY_PORT", 8080),
      envoyAdmin: readPort(environment, "ENVOY_ADMIN_PORT", 9901),
      postgres: readPort(environment, "POSTGRES_PORT", 5433),
      tigerbeetle: readPort(environment, "TIGERBEETLE_PORT", 3000),
      stripeSim: simulatesStripe(environment)
        ? readPort(environment, "STRIPE_SIM_PORT", 5400)
        : undefined,
      stripeSimMetrics: readPort(environment, "STRIPE_SIM_METRICS_PORT", 5307),
      identity: readPort(environment, "IDENTITY_PORT", 5500),
    },
    host: "127.0.0.1",
    tls: readOneOf(environment, "MESH_TLS", ["true", "false"], "false") === "true",
    signIn: readOneOf(environment, "MESH_SIGN_IN", ["true", "false"], "false") === "true",
    identityHere: readOptionalString(environment, "OIDC_ISSUER") === undefined,
    jwt: {
      issuer: readString(environment, "JWT_ISSUER", "sovr"),
      audience: readString(environment, "JWT_AUDIENCE", "sovr-mesh"),
    },
    environment: readString(environment, "SOVR_ENVIRONMENT", "development"),
    tigerbeetleAddresses: readOptionalString(environment, "TIGERBEETLE_ADDRESSES"),
    clusterId:
      readOptionalString(environment, "TIGERBEETLE_CLUSTER_ID") === undefined
        ? undefined
        : readU128(environment, "TIGERBEETLE_CLUSTER_ID"),
    approvalsPath: environment["APPROVALS_PATH"] ?? join(state, "approvals.yaml"),
    studioOrigins: readString(environment, "STUDIO_ORIGINS", localOrigins),
    edgeTrustedHops: readInteger(environment, "EDGE_TRUSTED_HOPS", {
      min: 0,
      max: 10,
      fallback: 0,
    }),
    edgeLogSuccessPercent: readInteger(environment, "EDGE_LOG_SUCCESS_PERCENT", {
      min: 0,
      max: 100,
      fallback: 1,
    }),
  };
  refuseSharedPorts(portsOf(settings.ports));
  return settings;
}

/** Whether cards are paid in a simulator: wherever nobody gave a key for Stripe, save in production. */
function simulatesStripe(environment: Environment): boolean {
  const hasKey = ["STRIPE_SECRET_KEY", "STRIPE_SECRET_KEY_FILE"].some(
    (name) => readOptionalString(environment, name) !== undefined,
  );
  return !hasKey && !/^prod/i.test(readString(environment, "SOVR_ENVIRONMENT", "development"));
}

export interface NamedPort {
  /** The environment variable that moves it. */
  readonly variable: string;
  readonly port: number;
}

export function servicePorts(name: ServiceName, ports: ServicePorts): readonly NamedPort[] {
  const prefix = name.toUpperCase();
  return [
    { variable: `${prefix}_GRPC_PORT`, port: ports.grpc },
    { variable: `${prefix}_CONNECT_PORT`, port: ports.connect },
    { variable: `${prefix}_METRICS_PORT`, port: ports.metrics },
  ];
}

export function stripeSimPorts({ stripeSim, stripeSimMetrics }: Ports): readonly NamedPort[] {
  if (stripeSim === undefined) return [];
  return [
    { variable: "STRIPE_SIM_PORT", port: stripeSim },
    { variable: "STRIPE_SIM_METRICS_PORT", port: stripeSimMetrics },
  ];
}

/** Where users, browsers and operators find the mesh: Envoy. */
export function edgeUrl({ host, ports, tls }: Pick<Settings, "host" | "ports" | "tls">): string {
  return `${tls ? "https" : "http"}://${host}:${ports.envoy}`;
}

export function studioPorts(ports: StudioPorts): readonly NamedPort[] {
  return [
    { variable: "STUDIO_CONNECT_PORT", port: ports.connect },
    { variable: "STUDIO_METRICS_PORT", port: ports.metrics },
  ];
}

function readPort(environment: Environment, variable: string, fallback: number): number {
  return readInteger(environment, variable, { min: 1, max: 65_535, fallback });
}

function portsOf(ports: Ports): readonly NamedPort[] {
  return [
    ...serviceNames.flatMap((name) => servicePorts(name, ports.services[name])),
    ...studioPorts(ports.studio),
    { variable: "ENVOY_PORT", port: ports.envoy },
    { variable: "ENVOY_ADMIN_PORT", port: ports.envoyAdmin },
    { variable: "POSTGRES_PORT", port: ports.postgres },
    { variable: "TIGERBEETLE_PORT", port: ports.tigerbeetle },
    ...stripeSimPorts(ports),
    { variable: "IDENTITY_PORT", port: ports.identity },
  ];
}

/** Throws a Problem that names the first two that are the same. */
export function refuseSharedPorts(ports: readonly NamedPort[]): void {
  const seen = new Map<number, string>();
  for (const { variable, port } of ports) {
    const other = seen.get(port);
    if (other !== undefined) {
      throw new Problem(`${other} and ${variable} are both ${port}: give each its own port`);
    }
    seen.set(port, variable);
  }
}
