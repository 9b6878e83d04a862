import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import type { DataChoice } from "./choose-identity.ts";
import { logFile, rotateLog } from "./log-files.ts";
import { Problem } from "./problem.ts";
import type { Settings } from "./settings.ts";

/** What the detached ./mesh up tells the command that waits for it. */
interface Message {
  readonly line?: string;
  readonly ready?: string;
  readonly failed?: string;
}

/**
 * Starts ./mesh up in the background and waits until it is ready or has failed. Resolves with the exit code;
 * its output goes on in the log `mesh`.
 */
export async function startDetached(settings: Settings, choice: DataChoice): Promise<number> {
  rotateLog(settings, "mesh");
  const log = openSync(logFile(settings, "mesh"), "a");
  const flags = [
    ...(choice.fresh ? ["--fresh"] : []),
    ...(choice.engine === undefined ? [] : ["--engine", choice.engine]),
  ];
  const child = spawn(process.execPath, [join(settings.root, "scripts/up.ts"), ...flags], {
    cwd: settings.root,
    detached: true,
    stdio: ["ignore", log, log, "ipc"],
  });
  closeSync(log);
  const stop = () => child.kill("SIGTERM");
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.on("message", (message: Message) => {
        if (message.line !== undefined) console.log(message.line);
        if (message.failed !== undefined) reject(new Problem(message.failed));
        if (message.ready !== undefined) {
          console.log(`${message.ready}\n  ./mesh down stops it`);
          resolve(0);
        }
      });
      child.once("error", reject);
      child.once("exit", (code, signal) => {
        reject(
          new Problem(
            `the mesh ended at its start (${signal ?? `exit code ${code}`}); see ${logFile(settings, "mesh")}`,
          ),
        );
      });
    });
  } finally {
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
    if (child.connected) child.disconnect();
    child.unref();
  }
}
