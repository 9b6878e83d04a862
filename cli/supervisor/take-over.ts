import type { Part } from "../parts/part.ts";
import { isFrozen, isRunning } from "../state/process-identity.ts";
import type { Settings } from "../state/settings.ts";
import { type PartState, readState, removeState } from "../state/state.ts";
import { fingerprintOf } from "./fingerprint.ts";
import { stopProcess } from "./stop-process.ts";
import { findStrays, type Stray } from "./strays.ts";

const probeMsMax = 3_000;
const stopMsMax = 6_000;

/** What a supervisor that was killed left running. */
export interface Leftovers {
  /** Serves, and is what would be started now: nothing needs to be interrupted. */
  readonly adopted: ReadonlyMap<string, PartState>;
  readonly stopped: number;
}

/** Adopts what still serves as it would be started now, and stops everything else that an earlier mesh left running. */
export async function takeOver(settings: Settings, parts: readonly Part[]): Promise<Leftovers> {
  const running = readState(settings)?.parts.filter(isRunning) ?? [];
  const judged = await Promise.all(
    running.map(async (state) => ({ state, serves: await stillServes(settings, parts, state) })),
  );
  const adopted = judged.filter(({ serves }) => serves).map(({ state }) => state);
  const others = leftRunning(settings).filter(({ pid }) => adopted.every((one) => one.pid !== pid));
  await stopAll(others, parts);
  return { adopted: new Map(adopted.map((state) => [state.name, state])), stopped: others.length };
}

/** Stops everything that an earlier mesh left running, and forgets it. Returns how many processes there were. */
export async function stopLeftovers(settings: Settings): Promise<number> {
  const left = leftRunning(settings);
  await stopAll(left, []);
  removeState(settings);
  return left.length;
}

/** All that runs of this state folder's mesh: what is written down, in the order of its start, and what is not. */
function leftRunning(settings: Settings): readonly (Stray & Partial<PartState>)[] {
  const recorded = readState(settings)?.parts.filter(isRunning) ?? [];
  const unknown = findStrays(settings.state).filter(
    ({ pid }) => recorded.every((part) => part.pid !== pid) && pid !== process.pid,
  );
  return [...recorded, ...unknown];
}

async function stopAll(
  left: readonly (Stray & Partial<PartState>)[],
  parts: readonly Part[],
): Promise<void> {
  for (const process of left.toReversed()) {
    const known = parts.find(({ name }) => name === process.name);
    const signal = process.stopSignal ?? known?.stopSignal ?? signalOf(process);
    await stopProcess({ process, signal, graceMs: stopMsMax });
  }
}

/** PostgreSQL takes SIGTERM for a wish to wait until every client has left. */
function signalOf({ name }: Stray): NodeJS.Signals {
  return name === "postgres" ? "SIGINT" : "SIGTERM";
}

async function stillServes(
  settings: Settings,
  parts: readonly Part[],
  state: PartState,
): Promise<boolean> {
  const part = parts.find(({ name }) => name === state.name);
  if (part === undefined || isFrozen(state)) return false;
  try {
    if (fingerprintOf(settings.root, await part.launch()) !== state.fingerprint) return false;
    await part.probe(AbortSignal.timeout(probeMsMax));
    return true;
  } catch {
    return false; // it does not serve, whatever the reason: it is started anew
  }
}
