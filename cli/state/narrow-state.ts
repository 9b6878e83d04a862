import { chmodSync, chownSync, lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { postgresUser } from "../parts/unprivileged.ts";
import type { Settings } from "./settings.ts";

/**
 * Takes from everybody else what they may do in the state folder: it holds keys, the ledger and what was logged. What an
 * older version left wider is narrowed, links excepted. As root the group of the user that PostgreSQL runs as may pass
 * the folder to what is its own, and read nothing.
 */
export function narrowState({ state }: Settings): void {
  for (const entry of readdirSync(state, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() && !entry.isDirectory()) continue;
    narrow(join(entry.parentPath, entry.name));
  }
  const user = postgresUser(join(state, "postgres"));
  if (user !== undefined) chownSync(state, 0, user.gid);
  chmodSync(state, user === undefined ? 0o700 : 0o710);
}

function narrow(path: string): void {
  try {
    const { mode } = lstatSync(path);
    if ((mode & 0o077) !== 0) chmodSync(path, mode & 0o700);
  } catch (error) {
    // What a part that runs has removed meanwhile.
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

/** Does work during which this process makes files, and starts processes, that nobody else may read. Never waits. */
export function privately<Result>(work: () => Result): Result {
  const mask = process.umask(0o077);
  try {
    return work();
  } finally {
    process.umask(mask);
  }
}
