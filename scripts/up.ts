import { performance } from "node:perf_hooks";
import { readArguments, runCommand } from "./lib/command.ts";
import { startDetached } from "./lib/detached.ts";
import { Problem } from "./lib/problem.ts";
import { isRunning } from "./lib/process-identity.ts";
import { readyText } from "./lib/ready-text.ts";
import { runMesh } from "./lib/run-mesh.ts";
import { type Engine, engines, readSettings, type Settings } from "./lib/settings.ts";
import { readIdentity, readState } from "./lib/state.ts";
import { seconds } from "./lib/supervisor.ts";

const usage = "./mesh up [--detach] [--fresh] [--engine embedded|tigerbeetle]";

runCommand(async () => {
  const { values, positionals } = readArguments(
    {
      detach: { type: "boolean", default: false },
      fresh: { type: "boolean", default: false },
      engine: { type: "string" },
    },
    usage,
  );
  if (positionals.length > 0) throw new Problem(`unexpected "${positionals[0]}" (usage: ${usage})`);
  const engine = engines.find((name) => name === values.engine);
  if (values.engine !== undefined && engine === undefined) {
    throw new Problem(`unknown engine "${values.engine}": the engines are ${engines.join(", ")}`);
  }
  const settings = readSettings(process.env);
  if (isAlreadyRunning(settings)) return alreadyRunning(settings, engine, values.fresh);
  if (values.detach) return startDetached(settings, { fresh: values.fresh, engine });
  return runHere(settings, { fresh: values.fresh, engine });
});

async function runHere(
  settings: Settings,
  choice: { readonly fresh: boolean; readonly engine: Engine | undefined },
): Promise<number> {
  const stop = new AbortController();
  const parent = parentProcess();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(name, () => {
      if (!stop.signal.aborted) console.log("stopping …");
      stop.abort(new Problem(`stopped by ${name}`));
    });
  }
  // While it starts detached, the command that waits for it owns it.
  process.once("disconnect", () => {
    if (!ready) stop.abort(new Problem("the command that started it is gone"));
  });
  let ready = false;
  try {
    await runMesh({
      settings,
      environment: process.env,
      choice,
      signal: stop.signal,
      report: (line) => {
        console.log(line);
        parent?.send({ line });
      },
      onReady: (identity) => {
        ready = true;
        const took = `The mesh is ready after ${seconds(performance.now())}.`;
        const text = `${took} ${readyText(settings, identity)}`;
        console.log(text);
        parent?.send({ ready: text });
        parent?.disconnect();
      },
    });
  } catch (error) {
    if (parent !== undefined && error instanceof Error) parent.send({ failed: error.message });
    throw error;
  }
  return 0;
}

/** The command that waits for this process to become ready, if there is one (lib/detached.ts). */
function parentProcess(): { send(message: unknown): void; disconnect(): void } | undefined {
  if (process.send === undefined) return undefined;
  return {
    send: (message) => {
      if (process.connected) process.send?.(message);
    },
    disconnect: () => {
      if (process.connected) process.disconnect();
    },
  };
}

function isAlreadyRunning(settings: Settings): boolean {
  const state = readState(settings);
  return state !== undefined && isRunning(state.supervisor);
}

/** A second ./mesh up is fine as long as it asks for what runs. */
function alreadyRunning(settings: Settings, engine: Engine | undefined, fresh: boolean): number {
  const state = readState(settings);
  const identity = readIdentity(settings);
  if (state?.phase !== "ready" || identity === undefined) {
    throw new Problem(`a mesh is ${state?.phase ?? "starting"} here: try again in a moment`);
  }
  if (fresh || (engine !== undefined && engine !== identity.engine)) {
    throw new Problem("a mesh is already running here: ./mesh down first");
  }
  const running = { ...settings, ports: state.ports };
  console.log(`The mesh is already running. ${readyText(running, identity)}`);
  return 0;
}
