import type { Environment } from "#common/process/environment.ts";
import { describeError, Problem } from "../command/problem.ts";
import { meshParts } from "../parts/mesh.ts";
import { requireTigerBeetle } from "../parts/replica-files.ts";
import { ensureApprovers } from "../state/approvers.ts";
import { chooseIdentity, type DataChoice } from "../state/choose-identity.ts";
import { ensureKeys } from "../state/keys.ts";
import { narrowState } from "../state/narrow-state.ts";
import { identify, type ProcessIdentity } from "../state/process-identity.ts";
import type { Settings } from "../state/settings.ts";
import {
  claimState,
  type MeshIdentity,
  type MeshState,
  type PartState,
  readIdentity,
  removeState,
  writeState,
} from "../state/state.ts";
import { ensureCertificates } from "../tls/mesh-certificates.ts";
import { renewCertificates } from "../tls/renew-certificates.ts";
import { requireFreePorts } from "./free-ports.ts";
import { createSupervisor } from "./supervisor.ts";
import { stopLeftovers, takeOver } from "./take-over.ts";

export interface RunOptions {
  readonly settings: Settings;
  readonly environment: NodeJS.ProcessEnv & Environment;
  readonly choice: DataChoice;
  readonly report: (line: string) => void;
  readonly onReady: (identity: MeshIdentity) => void;
  /** Ends the run, also while it starts. */
  readonly signal: AbortSignal;
}

/**
 * Runs a mesh in this process until `signal` fires: claims the state folder, starts the parts, keeps them
 * alive, stops them in order. Whatever goes wrong, nothing is left running.
 */
export async function runMesh(options: RunOptions): Promise<void> {
  const { settings, report, signal } = options;
  const self = identify(process.pid);
  if (self === undefined) throw new Error("this process cannot find itself");
  const release = claimState(settings, self);
  if (release === undefined)
    throw new Problem("a mesh is already running here: ./mesh status shows it");
  try {
    narrowState(settings);
    requirePrograms(options);
    if (options.choice.fresh || readIdentity(settings) === undefined) await stopEverything(options);
    // Keys first: what is made next depends on them, and may outlast a power cut that they must not be lost in.
    const keys = await ensureKeys(settings, report);
    ensureApprovers(settings);
    const renewed = settings.tls ? await ensureCertificates(settings) : [];
    const identity = chooseIdentity(settings, options.environment, options.choice);
    const mesh = { settings, identity, keys, environment: options.environment };
    const parts = meshParts(mesh, (what) => report(`installing ${what} …`));
    const { adopted, stopped } = await takeOver(settings, parts);
    if (stopped > 0) report(`stopped ${stopped} processes that an earlier mesh had left running`);
    const ports = parts.filter(({ name }) => !adopted.has(name)).flatMap((part) => part.ports);
    await requireFreePorts(settings.host, ports);

    const record = keepRecord(options, self, identity);
    const onChange = (changed: readonly PartState[]) => record.save({ parts: changed });
    const supervisor = createSupervisor({ settings, parts, report, onChange, adopted });
    const renewing = settings.tls ? renewCertificates(settings, supervisor, report) : undefined;
    try {
      await supervisor.start(signal);
      // One that ran already has read the old ones.
      if (renewed.includes("postgres")) supervisor.signal("postgres", "SIGHUP");
      record.save({ phase: "ready" });
      options.onReady(identity);
      await untilAborted(signal);
    } finally {
      renewing?.stop();
      record.save({ phase: "stopping" });
      await supervisor.stop();
      record.end();
    }
  } finally {
    release();
  }
}

/** A program that is missing is no reason to begin: nothing is made or deleted for a start that cannot be. */
function requirePrograms({ choice, settings }: RunOptions): void {
  if (settings.tigerbeetleAddresses !== undefined) return;
  // Whose engine the data is comes first: it is no use to install a program for another.
  if (!choice.fresh && readIdentity(settings) !== undefined) return;
  if (choice.replicas !== undefined) requireTigerBeetle("--replicas");
  else if (choice.engine === "tigerbeetle") requireTigerBeetle("--engine tigerbeetle");
}

/** Before data is made or deleted nothing may run that holds it. */
async function stopEverything({ settings, report }: RunOptions): Promise<void> {
  const left = await stopLeftovers(settings);
  if (left > 0) report(`stopped ${left} processes that an earlier mesh had left running`);
}

const saveAgainMs = 1_000;

/**
 * What runs, written down for other commands and for a supervisor that comes after this one. A disk that is full is no
 * reason to lose a part: it is written again until it is, and the marks of the processes tell the same meanwhile.
 */
function keepRecord(
  { settings, report }: RunOptions,
  self: ProcessIdentity,
  identity: MeshIdentity,
) {
  const { host, ports, tls, signIn, identityHere, tigerbeetleAddresses } = settings;
  let state: MeshState = {
    supervisor: self,
    phase: "starting",
    host,
    ports,
    tls,
    signIn,
    identityHere,
    ...(identity.external && tigerbeetleAddresses !== undefined ? { tigerbeetleAddresses } : {}),
    parts: [],
  };
  let again: NodeJS.Timeout | undefined;
  const write = () => {
    const hadFailed = again !== undefined;
    clearTimeout(again);
    again = undefined;
    try {
      writeState(settings, state);
      if (hadFailed) report("what runs is written down again");
    } catch (error) {
      if (!hadFailed) report(`what runs cannot be written down for now: ${describeError(error)}`);
      again = setTimeout(write, saveAgainMs);
      again.unref();
    }
  };
  return {
    save(change: { phase?: MeshState["phase"]; parts?: readonly PartState[] }) {
      state = { ...state, ...change };
      write();
    },
    end() {
      clearTimeout(again);
      removeState(settings);
    },
  };
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    // An AbortSignal alone does not keep the process alive; this timer does.
    const alive = setInterval(() => undefined, 60_000);
    const done = () => {
      clearInterval(alive);
      resolve();
    };
    if (signal.aborted) done();
    else signal.addEventListener("abort", done, { once: true });
  });
}
