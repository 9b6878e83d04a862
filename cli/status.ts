import { readArguments, runCommand } from "./command/command.ts";
import { Problem } from "./command/problem.ts";
import { table } from "./command/text.ts";
import { replicaCount } from "./parts/replicas.ts";
import { isRunning } from "./state/process-identity.ts";
import { readSettings, type Settings } from "./state/settings.ts";
import { readIdentity, readState } from "./state/state.ts";
import { probeMesh } from "./supervisor/status.ts";
import { findStrays } from "./supervisor/strays.ts";

runCommand(async () => {
  const { values } = readArguments(
    { json: { type: "boolean", default: false } },
    "./mesh status [--json]",
  );
  const settings = readSettings(process.env);
  const state = readState(settings);
  const identity = readIdentity(settings);
  if (state === undefined || identity === undefined) throw nothingKnown(settings);
  const supervised = isRunning(state.supervisor);
  const parts = await probeMesh(settings, identity, state);
  if (values.json) {
    const { engine, external, clusterId } = identity;
    console.log(
      JSON.stringify(
        {
          engine,
          external,
          replicas: replicaCount(identity),
          clusterId,
          supervised,
          phase: state.phase,
          parts,
        },
        null,
        2,
      ),
    );
  } else {
    const hasCertificates = parts.some((part) => part.certificateExpires !== undefined);
    const rows = parts.map((part) => [
      part.name,
      part.version ?? "",
      part.health,
      `${part.latencyMs.toFixed(1)} ms`,
      part.pid === undefined ? "" : String(part.pid),
      String(part.restarts),
      part.dependsOn.join(" "),
      ...(hasCertificates ? [daysLeft(part.certificateExpires)] : []),
    ]);
    const heads = ["part", "version", "health", "latency", "pid", "restarts", "depends on"];
    const replicas = replicaCount(identity);
    const engine = `${identity.engine}${replicas > 1 ? ` of ${replicas} replicas` : ""}`;
    console.log(`engine ${engine}, cluster ${identity.clusterId}`);
    console.log(table([hasCertificates ? [...heads, "certificate"] : heads, ...rows]));
    if (!supervised)
      console.log(
        "The supervisor is gone: ./mesh up goes on with what serves, and starts the rest again.",
      );
  }
  return supervised && parts.every((part) => part.healthy) ? 0 : 1;
});

/** Nothing is written down of a mesh. What runs of one all the same is known by its marks. */
function nothingKnown(settings: Settings): Problem {
  const left = findStrays(settings.state);
  if (left.length === 0) return new Problem("no mesh is running here: start one with ./mesh up");
  const names = left.map(({ name, pid }) => `${name} (${pid})`).join(", ");
  return new Problem(
    `what runs here is not written down any more in ${settings.state}, and these do: ${names}; ./mesh down stops them, and ./mesh up starts the mesh again`,
  );
}

/** For how long a certificate is good yet; empty for none. */
function daysLeft(expires: string | undefined): string {
  if (expires === undefined) return "";
  const days = Math.floor((Date.parse(expires) - Date.now()) / 86_400_000);
  return days < 0 ? "expired" : `${days} days`;
}
