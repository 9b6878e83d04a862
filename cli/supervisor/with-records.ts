import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Environment, readOptionalString } from "#common/process/environment.ts";
import { Problem } from "../command/problem.ts";
import { meshParts } from "../parts/mesh.ts";
import type { Part } from "../parts/part.ts";
import { recordsEnvironment } from "../parts/records-environment.ts";
import { replicasOf } from "../parts/replicas.ts";
import { ensureApprovers } from "../state/approvers.ts";
import { ensureKeys, keyFiles } from "../state/keys.ts";
import { identify, isRunning } from "../state/process-identity.ts";
import { readSettings, type Settings } from "../state/settings.ts";
import {
  claimState,
  type MeshIdentity,
  readIdentity,
  readState,
  settingsOf,
} from "../state/state.ts";
import { ensureCertificates } from "../tls/mesh-certificates.ts";
import { requireFreePorts } from "./free-ports.ts";
import { createSupervisor } from "./supervisor.ts";
import { stopLeftovers } from "./take-over.ts";

/** What keeps records and ledger, and needs no service. */
const keepsRecords = ({ name }: Part) => /^(postgres|tigerbeetle(-[0-9])?)$/.test(name);

/** True if an environment says in the services' words where the records are. */
export function namesDatabase(environment: Environment): boolean {
  return ["DATABASE_URL", "DATABASE_URL_FILE"].some(
    (name) => readOptionalString(environment, name) !== undefined,
  );
}

/**
 * Does some work on the records and the ledger of a mesh: the one that the environment describes, the one that runs
 * here, ready or not, or the one that lies here. Of that, PostgreSQL and a local TigerBeetle run meanwhile, for a mesh
 * whose services refuse to start has stopped them. `work` is told where they are, in the services' words. A Problem if
 * there is no mesh here; `as it is`: also if PostgreSQL or TigerBeetle have no data here, which would be made anew.
 */
export async function withRecords<Result>(
  environment: NodeJS.ProcessEnv & Environment,
  work: (environment: Environment) => Promise<Result>,
  data: "as it is" | "made if missing" = "made if missing",
): Promise<Result> {
  if (namesDatabase(environment)) return work(environment);
  const settings = readSettings(environment);
  const identity = readIdentity(settings);
  if (identity === undefined) throw new Problem("there is no mesh here: ./mesh up makes one");
  const state = readState(settings);
  if (state !== undefined && isRunning(state.supervisor)) {
    return work(recordsEnvironment(settingsOf(settings, state), identity, keyFiles(settings)));
  }
  if (data === "as it is") requireData(settings, identity);
  return whileKept(settings, environment, identity, () =>
    work(recordsEnvironment(settings, identity, keyFiles(settings))),
  );
}

/** Rejects with the signal's reason: what keeps the records must not be left behind by whoever tires of waiting. */
function whenStopped(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const stopped = () => reject(signal.reason);
    if (signal.aborted) stopped();
    else signal.addEventListener("abort", stopped, { once: true });
  });
}

function requireData(settings: Settings, identity: MeshIdentity): void {
  const files = [
    join(settings.state, "postgres/PG_VERSION"),
    ...replicasOf(settings, identity).map(({ file }) => file),
  ];
  const missing = files.find((file) => !existsSync(file));
  if (missing === undefined) return;
  throw new Problem(`${missing} is not there: what it belongs to was lost, or lies elsewhere`);
}

async function whileKept<Result>(
  settings: Settings,
  environment: NodeJS.ProcessEnv,
  identity: MeshIdentity,
  work: () => Promise<Result>,
): Promise<Result> {
  const self = identify(process.pid);
  const release = self && claimState(settings, self);
  if (release === undefined) throw new Problem("a mesh is starting here: try again in a moment");
  const stop = new AbortController();
  const interrupt = () => stop.abort(new Problem("stopped"));
  process.once("SIGINT", interrupt);
  process.once("SIGTERM", interrupt);
  try {
    await stopLeftovers(settings);
    const keys = await ensureKeys(settings);
    ensureApprovers(settings);
    if (settings.tls) await ensureCertificates(settings);
    const mesh = { settings, identity, keys, environment };
    const parts = meshParts(mesh).filter(keepsRecords);
    await requireFreePorts(
      settings.host,
      parts.flatMap((part) => part.ports),
    );
    const quiet = () => undefined;
    const supervisor = createSupervisor({ settings, parts, report: quiet, onChange: quiet });
    try {
      await supervisor.start(stop.signal);
      return await Promise.race([work(), whenStopped(stop.signal)]);
    } finally {
      await supervisor.stop();
    }
  } finally {
    process.off("SIGINT", interrupt);
    process.off("SIGTERM", interrupt);
    release();
  }
}
