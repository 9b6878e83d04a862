import { performance } from "node:perf_hooks";
import { createInterface } from "node:readline/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { lossyStdout } from "#common/process/lossy-output.ts";
import { readArguments, runCommand } from "./command/command.ts";
import { describeError, fileProblem, Problem } from "./command/problem.ts";
import { seconds } from "./command/text.ts";
import { replicaCount } from "./parts/replicas.ts";
import { type DataChoice, dataIn } from "./state/choose-identity.ts";
import { isRunning } from "./state/process-identity.ts";
import { engines, readSettings, type Settings } from "./state/settings.ts";
import {
  type MeshIdentity,
  type MeshState,
  readIdentity,
  readState,
  settingsOf,
} from "./state/state.ts";
import { findOwner, startDetached } from "./supervisor/detached.ts";
import { readyText } from "./supervisor/ready-text.ts";
import { runMesh } from "./supervisor/run-mesh.ts";
import { probeMesh } from "./supervisor/status.ts";

const usage =
  "./mesh up [--detach] [--fresh [--yes]] [--engine embedded|tigerbeetle] [--replicas 1|3|5|6] [--tls] [--sign-in]";

/** How long what has just died may take to be back before a second ./mesh up says that the mesh does not serve. */
const servingMs = 10_000;
/** Two and four are not offered: they survive no more than one and three do. */
const replicaCounts = ["1", "3", "5", "6"];

runCommand(async () => {
  const { values, positionals } = readArguments(
    {
      detach: { type: "boolean", default: false },
      fresh: { type: "boolean", default: false },
      yes: { type: "boolean", default: false },
      engine: { type: "string" },
      replicas: { type: "string" },
      tls: { type: "boolean", default: false },
      "sign-in": { type: "boolean", default: false },
    },
    usage,
  );
  if (positionals.length > 0) throw new Problem(`unexpected "${positionals[0]}" (usage: ${usage})`);
  const engine = engines.find((name) => name === values.engine);
  if (values.engine !== undefined && engine === undefined) {
    throw new Problem(`unknown engine "${values.engine}": the engines are ${engines.join(", ")}`);
  }
  const choice = { fresh: values.fresh, engine, replicas: readReplicas(values.replicas) };
  const plain = readSettings(process.env);
  const settings = {
    ...plain,
    tls: plain.tls || values.tls,
    signIn: plain.signIn || values["sign-in"],
  };
  if (isAlreadyRunning(settings)) return alreadyRunning(settings, choice);
  if (values.fresh && !values.yes) await askBeforeDeleting(settings);
  return values.detach ? startDetached(settings, choice) : runHere(settings, choice);
});

function readReplicas(given: string | undefined): number | undefined {
  if (given === undefined) return undefined;
  if (!replicaCounts.includes(given)) {
    throw new Problem(
      `--replicas ${given}: a cluster here has ${replicaCounts.join(", ")} replicas`,
    );
  }
  return Number(given);
}

/** Says what --fresh deletes, and asks a person; whoever cannot be asked must have said --yes. */
async function askBeforeDeleting(settings: Settings): Promise<void> {
  const data = dataIn(settings);
  if (data.length === 0) return;
  const what = `--fresh deletes the ledger and all records of this mesh for ever: ${data.join(", ")} in ${settings.state}`;
  if (!process.stdin.isTTY) throw new Problem(`${what}; say --fresh --yes if you mean it`);
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    const answer = await terminal.question(`${what}.\nDelete them? (yes/no) `);
    if (answer.trim().toLowerCase() !== "yes") throw new Problem("nothing was deleted");
  } finally {
    terminal.close();
  }
}

async function runHere(settings: Settings, choice: DataChoice): Promise<number> {
  // A line that cannot be written, as into a log on a full disk, must not end the one who keeps everything running.
  const output = lossyStdout(
    (lines) => `${lines} lines were dropped here: they could not be written`,
  );
  const say = (text: string) => void output.write(`${text}\n`);
  const stop = new AbortController();
  const end = (why: string) => {
    if (!stop.signal.aborted) say("stopping …");
    stop.abort(new Problem(why));
  };
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(name, () => end(`stopped by ${name}`));
  }
  const owner = findOwner(() => end("the process that started it is gone"));
  try {
    await runMesh({
      settings,
      environment: process.env,
      choice,
      signal: stop.signal,
      report: (line) => {
        say(line);
        owner?.tell({ line });
      },
      onReady: (identity) => {
        const took = `The mesh is ready after ${seconds(performance.now())}.`;
        const text = `${took} ${readyText(settings, identity)}`;
        say(text);
        owner?.tell({ ready: text });
      },
    });
  } catch (error) {
    owner?.tell({ failed: describeError(fileProblem(error) ?? error) });
    throw error;
  } finally {
    owner?.leave();
  }
  return 0;
}

function isAlreadyRunning(settings: Settings): boolean {
  const state = readState(settings);
  return state !== undefined && isRunning(state.supervisor);
}

/** A second ./mesh up is fine as long as it asks for what runs, and all of that serves. */
async function alreadyRunning(
  settings: Settings,
  { fresh, engine, replicas }: DataChoice,
): Promise<number> {
  const state = readState(settings);
  const identity = readIdentity(settings);
  if (state?.phase !== "ready" || identity === undefined) {
    throw new Problem(`a mesh is ${state?.phase ?? "starting"} here: try again in a moment`);
  }
  const isOther =
    (settings.tls && !state.tls) ||
    (settings.signIn && !state.signIn) ||
    (engine !== undefined && engine !== identity.engine) ||
    (replicas !== undefined && replicas !== replicaCount(identity));
  if (fresh || isOther) {
    throw new Problem("a mesh is already running here: ./mesh down first");
  }
  await untilServing(settings, identity, state);
  console.log(`The mesh is already running. ${readyText(settingsOf(settings, state), identity)}`);
  return 0;
}

/** Resolves once every part serves. Throws a Problem that names those that do not, and why. */
async function untilServing(settings: Settings, identity: MeshIdentity, state: MeshState) {
  const deadlineMs = Date.now() + servingMs;
  for (;;) {
    const ill = (await probeMesh(settings, identity, state)).filter(({ healthy }) => !healthy);
    if (ill.length === 0) return;
    if (Date.now() >= deadlineMs) {
      const why = ill.map(({ name, health }) => `${name} does not serve (${health})`).join("; ");
      throw new Problem(`the mesh is already running, but ${why}: ./mesh status shows it`);
    }
    await sleep(250);
  }
}
