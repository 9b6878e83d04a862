import { describeError } from "../command/problem.ts";
import { meshParts } from "../parts/mesh.ts";
import type { Part } from "../parts/part.ts";
import { keyFiles } from "../state/keys.ts";
import { isRunning } from "../state/process-identity.ts";
import type { Settings } from "../state/settings.ts";
import type { MeshIdentity, MeshState, PartState } from "../state/state.ts";

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
}

const probeMsMax = 3_000;

/** Asks every part of a mesh how it is, all at once. */
export function probeMesh(
  settings: Settings,
  identity: MeshIdentity,
  state: MeshState,
): Promise<PartStatus[]> {
  const running = { ...settings, ports: state.ports };
  const mesh = { settings: running, identity, keys: keyFiles(settings), environment: {} };
  return Promise.all(
    meshParts(mesh).map((part) =>
      probePart(
        part,
        state.parts.find(({ name }) => name === part.name),
      ),
    ),
  );
}

async function probePart(part: Part, process: PartState | undefined): Promise<PartStatus> {
  const beganMs = performance.now();
  const answer = await part.probe(AbortSignal.timeout(probeMsMax)).then(
    (version) => ({ healthy: true, health: "serving", version }),
    (error: unknown) => ({ healthy: false, health: describeError(error), version: undefined }),
  );
  return {
    ...answer,
    name: part.name,
    latencyMs: Math.round((performance.now() - beganMs) * 10) / 10,
    pid: process !== undefined && isRunning(process) ? process.pid : undefined,
    restarts: process?.restarts ?? 0,
    dependsOn: part.dependsOn,
  };
}
