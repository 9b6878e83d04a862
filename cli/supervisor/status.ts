import { describeError } from "../command/problem.ts";
import { meshParts } from "../parts/mesh.ts";
import type { Part } from "../parts/part.ts";
import { keyFiles } from "../state/keys.ts";
import { isFrozen, isRunning, type ProcessIdentity } from "../state/process-identity.ts";
import type { Settings } from "../state/settings.ts";
import { type MeshIdentity, type MeshState, type PartState, settingsOf } from "../state/state.ts";
import { lastMessage, logFile } from "./log-files.ts";
import { findStrays } from "./strays.ts";

export interface PartStatus {
  readonly name: string;
  readonly healthy: boolean;
  /** "serving", or why not. */
  readonly health: string;
  readonly version: string | undefined;
  /** How long the probe took, in milliseconds. */
  readonly latencyMs: number;
  readonly pid: number | undefined;
  readonly restarts: number;
  readonly dependsOn: readonly string[];
  /** When the certificate expires that it shows, as RFC 3339 has it. Absent: it shows none, or does not answer. */
  readonly certificateExpires?: string;
}

const probeMsMax = 3_000;

/** Asks every part of a mesh how it is, all at once. */
export function probeMesh(
  settings: Settings,
  identity: MeshIdentity,
  state: MeshState,
): Promise<PartStatus[]> {
  const mesh = {
    settings: settingsOf(settings, state),
    identity,
    keys: keyFiles(settings),
    environment: {},
  };
  // What was started while the disk was full is not written down yet; it carries its mark.
  const marked = findStrays(settings.state);
  const processOf = (name: string): KnownProcess | undefined => {
    const recorded = state.parts.find((part) => part.name === name);
    if (recorded !== undefined && isRunning(recorded)) return recorded;
    const found = marked.find((stray) => stray.name === name);
    return found === undefined ? recorded : { ...recorded, ...found };
  };
  return Promise.all(
    meshParts(mesh).map((part) => probePart(settings, part, processOf(part.name))),
  );
}

/** Whether a probe found out no more than that nobody listens. */
function isUnheard(health: string): boolean {
  return /ECONNREFUSED|fetch failed/.test(health);
}

type KnownProcess = ProcessIdentity & Partial<PartState>;

async function probePart(
  settings: Settings,
  part: Part,
  process: KnownProcess | undefined,
): Promise<PartStatus> {
  const beganMs = performance.now();
  const signal = AbortSignal.timeout(probeMsMax);
  const expiring = part.certificateExpiresMs?.(signal).catch(() => undefined);
  const answer = await part.probe(signal).then(
    (version) => ({ healthy: true, health: "serving", version }),
    (error: unknown) => ({ healthy: false, health: describeError(error), version: undefined }),
  );
  const latencyMs = Math.round((performance.now() - beganMs) * 10) / 10;
  const expiresMs = await expiring;
  const runs = process !== undefined && isRunning(process);
  const frozen = runs && isFrozen(process);
  // That nobody listens is no news of a process that has ended; its last words are, unless the probe knows why.
  const ended = process !== undefined && !runs && !answer.healthy && isUnheard(answer.health);
  return {
    ...answer,
    // A process that was stopped still takes connections; it answers none.
    ...(frozen
      ? { healthy: false, health: "frozen: its process is stopped (SIGCONT wakes it)" }
      : {}),
    ...(ended ? { health: `it ended: ${lastMessage(logFile(settings, part.name))}` } : {}),
    version: answer.version || process?.version,
    name: part.name,
    latencyMs,
    pid: runs ? process.pid : undefined,
    restarts: process?.restarts ?? 0,
    dependsOn: part.dependsOn,
    ...(expiresMs === undefined ? {} : { certificateExpires: new Date(expiresMs).toISOString() }),
  };
}
