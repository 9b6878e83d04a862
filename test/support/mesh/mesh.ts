import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { type ServiceName, serviceNames } from "#common/service-names.ts";
import {
  type MeshClient,
  type MeshClientOptions,
  openMesh,
} from "../../../cli/client/open-mesh.ts";
import { signToken, type TokenRequest } from "../../../cli/client/token.ts";
import { createWallet, type Wallet } from "../../../cli/client/wallets.ts";
import { type Engine, readSettings, type Settings } from "../../../cli/state/settings.ts";
import {
  type MeshIdentity,
  type PartState,
  readState,
  requireMesh,
} from "../../../cli/state/state.ts";
import { startOwned } from "../../../cli/supervisor/detached.ts";
import { logTail } from "../../../cli/supervisor/log-files.ts";
import { noteStarted, type Startable } from "../../../cli/test/started.ts";
import { nodeEnvironment } from "../process/node-environment.ts";
import { freePort, freePortRun } from "../rpc/free-port.ts";

export interface TestMeshOptions {
  /** Default: the embedded engine. */
  readonly engine?: Engine;
  /** Of a real TigerBeetle. Default: one. */
  readonly replicas?: number;
  /** Added to the environment of every part. */
  readonly environment?: NodeJS.ProcessEnv;
  /** Its state folder, empty, as on a disk of the test's own. Default: a temporary one. */
  readonly state?: string;
}

export interface ServiceAddresses {
  /** host:port */
  readonly grpc: string;
  readonly connect: string;
  readonly metrics: string;
}

/** A whole mesh of a test's own: every service, PostgreSQL and Envoy, with its own ports and state folder. */
export interface TestMesh {
  readonly settings: Settings;
  readonly identity: MeshIdentity;
  /** The environment in which ./mesh commands find it. */
  readonly environment: NodeJS.ProcessEnv;
  /** Envoy, host:port. */
  readonly address: string;
  /** The services behind Envoy. */
  readonly services: Readonly<Record<ServiceName, ServiceAddresses>>;
  token(request?: TokenRequest): Promise<string>;
  wallet(name?: string): Wallet;
  /** A client through Envoy. */
  client(options?: MeshClientOptions): MeshClient;
  /** The process of a part, as it is now. */
  part(name: string): PartState;
  /** Sends a signal to a part, SIGKILL unless told otherwise. The supervisor starts what dies again. */
  kill(name: string, signal?: NodeJS.Signals): void;
  /** Runs ./mesh <command> against it. */
  run(...command: string[]): Promise<CommandResult>;
  /** The end of a part's log. */
  log(name: string): string;
  /** Stops it and deletes its state. Safe to repeat. */
  stop(): Promise<void>;
}

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const attemptsMax = 3;
/** Replicas of a cluster of one machine have ports in a row. */
const replicasMax = 3;

/** Starts a private mesh. It ends with the test process, however that ends. */
export async function startMesh(options: TestMeshOptions = {}): Promise<TestMesh> {
  const state = options.state ?? (await newStateFolder());
  try {
    for (let attempt = 1; ; attempt += 1) {
      const environment = { ...(await privateEnvironment(state)), ...options.environment };
      const lines: string[] = [];
      try {
        const settings = readSettings(environment);
        const engine = options.engine ?? "embedded";
        const child = await startOwned(
          settings,
          { fresh: false, engine, replicas: options.replicas },
          {
            environment,
            report: (line) => lines.push(line),
          },
        );
        noteMesh(settings);
        return testMesh(settings, environment, child);
      } catch (error) {
        // A port may have gone to somebody else between finding it and listening on it.
        if (
          attempt === attemptsMax ||
          !/port .*is in use|are both/.test(String((error as Error).message))
        ) {
          throw new Error(`the mesh did not start:\n${lines.join("\n")}`, { cause: error });
        }
      }
    }
  } catch (error) {
    await rm(state, { recursive: true, force: true });
    throw error;
  }
}

/** A temporary folder that PostgreSQL's user may pass; what is secret in it is closed by itself. */
export async function newStateFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "sovr-mesh-"));
  await chmod(folder, 0o755);
  return folder;
}

/** The environment of a mesh with a state folder and free ports of its own, and nothing of the developer's. */
export async function privateEnvironment(state: string): Promise<NodeJS.ProcessEnv> {
  const { HOME, TMPDIR } = process.env;
  const variables = [
    ...serviceNames.flatMap((name) =>
      ["GRPC", "CONNECT", "METRICS"].map((kind) => `${name.toUpperCase()}_${kind}_PORT`),
    ),
    "STUDIO_CONNECT_PORT",
    "STUDIO_METRICS_PORT",
    "ENVOY_PORT",
    "ENVOY_ADMIN_PORT",
    "POSTGRES_PORT",
    "STRIPE_SIM_PORT",
    "STRIPE_SIM_METRICS_PORT",
    "IDENTITY_PORT",
  ];
  const ports = await Promise.all(variables.map(() => freePort()));
  return {
    ...nodeEnvironment(),
    HOME,
    ...(TMPDIR === undefined ? {} : { TMPDIR }),
    MESH_STATE: state,
    // Tests fund in sums that nobody would let pass; those of approvals say so.
    APPROVALS_PATH: "",
    TIGERBEETLE_PORT: String(await freePortRun(replicasMax)),
    ...Object.fromEntries(variables.map((variable, index) => [variable, String(ports[index])])),
  };
}

/** A busy machine starts a mesh in half a minute, after it has stopped what an earlier one has left. */
const commandMsMax = 120_000;

/** Runs a command of ./mesh in an environment, to its end. */
export async function runMeshCommand(
  settings: Settings,
  environment: NodeJS.ProcessEnv,
  [command = "help", ...words]: readonly string[],
): Promise<CommandResult> {
  const script = join(settings.root, "cli", `${command}.ts`);
  const child = spawn(process.execPath, [script, ...words], {
    env: environment,
    stdio: ["ignore", "pipe", "pipe"],
    timeout: commandMsMax,
  });
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "close") as Promise<[number | null]>,
  ]);
  if (command === "up" && words.includes("--detach") && code === 0) noteMesh(settings);
  return { code, stdout, stderr };
}

/** Counts the mesh of a state folder with all its parts, if it runs. */
export function noteMesh(settings: Settings): void {
  const kinds: Readonly<Record<string, Startable>> = {
    postgres: "postgres",
    envoy: "envoy",
  };
  const kindOf = (name: string) =>
    name.startsWith("tigerbeetle") ? "tigerbeetle" : (kinds[name] ?? "service");
  const state = readState(settings);
  if (state === undefined) return;
  noteStarted("mesh", ...state.parts.map(({ name }) => kindOf(name)));
}

function testMesh(
  settings: Settings,
  environment: NodeJS.ProcessEnv,
  child: ChildProcess,
): TestMesh {
  const at = (port: number) => `${settings.host}:${port}`;
  const { identity } = requireMesh(settings);
  const part = (name: string): PartState => {
    const found = requireMesh(settings).state.parts.find((candidate) => candidate.name === name);
    if (found === undefined) throw new Error(`no part ${name} runs`);
    return found;
  };
  return {
    settings,
    identity,
    environment,
    address: at(settings.ports.envoy),
    services: Object.fromEntries(
      serviceNames.map((name) => {
        const { grpc, connect, metrics } = settings.ports.services[name];
        return [name, { grpc: at(grpc), connect: at(connect), metrics: at(metrics) }];
      }),
    ) as Record<ServiceName, ServiceAddresses>,
    token: (request) => signToken(settings, request),
    wallet: (name) => createWallet(settings, name),
    client: (options) => openMesh(settings, options),
    part,
    kill: (name, signal = "SIGKILL") => {
      process.kill(part(name).pid, signal);
    },
    run: (...command) => runMeshCommand(settings, environment, command),
    log: (name) => logTail(join(settings.state, "logs", `${name}.log`)),
    stop: async () => {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGTERM");
        await once(child, "exit");
      }
      await rm(settings.state, { recursive: true, force: true });
    },
  };
}
