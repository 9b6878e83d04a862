import type { Environment } from "#common/process/environment.ts";
import { Problem } from "../command/problem.ts";
import { meshParts } from "../parts/mesh.ts";
import { chooseIdentity, type DataChoice } from "../state/choose-identity.ts";
import { ensureKeys } from "../state/keys.ts";
import { identify } from "../state/process-identity.ts";
import type { Settings } from "../state/settings.ts";
import {
  claimState,
  type MeshIdentity,
  type MeshState,
  type PartState,
  removeState,
  writeState,
} from "../state/state.ts";
import { requireFreePorts } from "./free-ports.ts";
import { stopLeftovers } from "./stop-leftovers.ts";
import { createSupervisor } from "./supervisor.ts";

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
    const left = await stopLeftovers(settings);
    if (left > 0) report(`stopped ${left} processes that an earlier mesh had left running`);
    const identity = chooseIdentity(settings, options.environment, options.choice);
    const keys = await ensureKeys(settings);
    const mesh = { settings, identity, keys, environment: options.environment };
    const parts = meshParts(mesh, (what) => report(`installing ${what} …`));
    await requireFreePorts(
      settings.host,
      parts.flatMap((part) => part.ports),
    );

    let state: MeshState = {
      supervisor: self,
      phase: "starting",
      host: settings.host,
      ports: settings.ports,
      parts: [],
    };
    const save = (change: { phase?: MeshState["phase"]; parts?: readonly PartState[] }) => {
      state = { ...state, ...change };
      writeState(settings, state);
    };
    const onChange = (changed: readonly PartState[]) => save({ parts: changed });
    const supervisor = createSupervisor({ settings, parts, report, onChange });
    try {
      await supervisor.start(signal);
      save({ phase: "ready" });
      options.onReady(identity);
      await untilAborted(signal);
    } finally {
      save({ phase: "stopping" });
      await supervisor.stop();
      removeState(settings);
    }
  } finally {
    release();
  }
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
