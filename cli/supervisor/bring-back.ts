import { setTimeout as sleep } from "node:timers/promises";
import { describeError, Problem } from "../command/problem.ts";
import { meshParts } from "../parts/mesh.ts";
import { recoverReplica, requireLost } from "../parts/replica-files.ts";
import { replicasOf } from "../parts/replicas.ts";
import { keyFiles } from "../state/keys.ts";
import type { Settings } from "../state/settings.ts";
import { requireMesh, settingsOf } from "../state/state.ts";

/** The supervisor tries again every ten seconds at the latest. */
const servesMs = 60_000;
const lookMs = 250;

/**
 * Brings back a replica of the mesh that runs here, whose data file is lost: makes the file anew from the other replicas,
 * and waits until the supervisor has started it. Throws Problem.
 */
export async function bringBack(settings: Settings, index: number): Promise<void> {
  const { state, identity } = requireMesh(settings);
  const running = settingsOf(settings, state);
  const replicas = replicasOf(running, identity);
  const cluster = { settings: running, clusterId: identity.clusterId, replicas };
  const replica = requireLost(cluster, index);
  console.log(`asking the other replicas for what replica ${index} must know …`);
  await recoverReplica(cluster, replica);
  const mesh = { settings: running, identity, keys: keyFiles(settings), environment: {} };
  const part = meshParts(mesh).find(({ name }) => name === replica.name);
  let why = "";
  for (const untilMs = Date.now() + servesMs; Date.now() < untilMs; await sleep(lookMs)) {
    try {
      await part?.probe(AbortSignal.timeout(lookMs * 10));
      console.log(`replica ${index} is back; it takes over the rest from the others while it runs`);
      return;
    } catch (error) {
      why = describeError(error);
    }
  }
  throw new Problem(`replica ${index} has its data file again, and does not serve yet: ${why}`);
}
