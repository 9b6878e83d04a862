import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { Problem } from "../command/problem.ts";
import type { DataChoice } from "../state/choose-identity.ts";
import type { Settings } from "../state/settings.ts";
import { logFile, rotateLog } from "./log-files.ts";

/** What a ./mesh up that runs in the background tells the process that started it. */
interface UpMessage {
  readonly line?: string;
  readonly ready?: string;
  readonly failed?: string;
}

/** What the starter answers: live on without me. */
interface ReleaseMessage {
  readonly release: true;
}

/**
 * Starts ./mesh up in the background and waits until it is ready or has failed. Resolves with the exit code;
 * its output goes on in the log `mesh`.
 */
export async function startDetached(settings: Settings, choice: DataChoice): Promise<number> {
  const child = await startOwned(settings, choice, {
    environment: process.env,
    report: (line) => console.log(line),
  });
  const release: ReleaseMessage = { release: true };
  await new Promise<void>((resolve, reject) => {
    child.send(release, (error) => (error === null ? resolve() : reject(error)));
  });
  child.disconnect();
  child.unref();
  console.log("  ./mesh down stops it");
  return 0;
}

export interface OwnedOptions {
  readonly environment: NodeJS.ProcessEnv;
  readonly report: (line: string) => void;
}

/**
 * Starts ./mesh up in a process of its own and waits until it is ready. The mesh ends when this process ends,
 * however it ends. Rejects with a Problem that says what failed.
 */
export async function startOwned(
  settings: Settings,
  choice: DataChoice,
  options: OwnedOptions,
): Promise<ChildProcess> {
  rotateLog(settings, "mesh");
  const log = openSync(logFile(settings, "mesh"), "a", 0o600);
  const flags = [
    ...(choice.fresh ? ["--fresh", "--yes"] : []), // whoever chose it was asked
    ...(choice.engine === undefined ? [] : ["--engine", choice.engine]),
    ...(settings.tls ? ["--tls"] : []),
    ...(settings.signIn ? ["--sign-in"] : []),
    ...(choice.replicas === undefined ? [] : ["--replicas", String(choice.replicas)]),
  ];
  const child = spawn(process.execPath, [join(settings.root, "cli/up.ts"), ...flags], {
    cwd: settings.root,
    env: options.environment,
    detached: true,
    stdio: ["ignore", log, log, "ipc"],
  });
  closeSync(log);
  const stop = () => child.kill("SIGTERM");
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  try {
    await untilReady(child, options.report, logFile(settings, "mesh"));
    return child;
  } finally {
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
  }
}

function untilReady(
  child: ChildProcess,
  report: (line: string) => void,
  log: string,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let why: string | undefined;
    child.on("message", (message: UpMessage) => {
      if (message.line !== undefined) report(message.line);
      if (message.failed !== undefined) why = message.failed;
      if (message.ready !== undefined) {
        report(message.ready);
        resolve();
      }
    });
    child.once("error", reject);
    // Only when it has ended has it stopped everything that it had started.
    child.once("exit", (code, signal) => {
      reject(
        new Problem(
          why ?? `the mesh ended at its start (${signal ?? `exit code ${code}`}); see ${log}`,
        ),
      );
    });
  });
}

/** The side of ./mesh up: how it speaks with the process that owns it. */
export interface Owner {
  tell(message: UpMessage): void;
  /** Lets go of the owner, so that this process can end. */
  leave(): void;
}

/** The process that owns this one, or undefined if a terminal does. `onGone` is called if it ends unreleased. */
export function findOwner(onGone: () => void): Owner | undefined {
  if (process.send === undefined) return undefined;
  let released = false;
  process.on("message", (message: ReleaseMessage) => {
    released ||= message.release;
  });
  process.once("disconnect", () => {
    if (!released) onGone();
  });
  return {
    tell: (message) => {
      // The owner may just have gone; then nobody wants to know.
      if (process.connected) process.send?.(message, () => undefined);
    },
    leave: () => {
      released = true;
      if (process.connected) process.disconnect();
    },
  };
}
