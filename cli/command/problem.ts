import { statSync } from "node:fs";
import { userInfo } from "node:os";
import { dirname } from "node:path";

/**
 * Something the user can put right. Its message is one line that names what is wrong and what to do; it is
 * all that a command prints.
 */
export class Problem extends Error {
  override readonly name = "Problem";
}

/** The text of any thrown value, on one line; of a failed fetch the cause, which alone says why. */
export function describeError(error: unknown): string {
  const cause = error instanceof TypeError ? (error.cause ?? error) : error;
  const text = cause instanceof Error ? cause.message || cause.name : String(cause);
  return text.split("\n", 1)[0] ?? text;
}

const remedies: Readonly<Record<string, (owner: string) => string>> = {
  EACCES: (owner) =>
    `it belongs to ${owner}, and you are ${userInfo().username}: run this as ${owner}, or give yourself the folder`,
  EPERM: (owner) =>
    `it belongs to ${owner}, and you are ${userInfo().username}: run this as ${owner}, or give yourself the folder`,
  EROFS: () =>
    "it cannot be written to: copy the folder to where it can, or name another by MESH_STATE",
  ENOSPC: () => "the disk is full: make room, then run this again",
  EDQUOT: () => "your quota of the disk is used up: make room, then run this again",
};

/** What the user can put right about a file that could not be used, in one line; undefined for every other error. */
export function fileProblem(error: unknown): Problem | undefined {
  const { code, path } = error as NodeJS.ErrnoException;
  const remedy = code === undefined ? undefined : remedies[code];
  if (!(error instanceof Error) || remedy === undefined || path === undefined) return undefined;
  return new Problem(`${path} cannot be used: ${remedy(ownerOf(path))}`);
}

/** Whether a file could not be written because nothing more fits on its disk, or on the user's part of it. */
export function isDiskFull(error: unknown): boolean {
  return ["ENOSPC", "EDQUOT"].includes(String((error as NodeJS.ErrnoException).code));
}

/** Who owns a path, or the nearest folder above it that is there. */
function ownerOf(path: string): string {
  for (let at = path; ; at = dirname(at)) {
    try {
      const { uid } = statSync(at);
      return uid === 0 ? "root" : `the user ${uid}`;
    } catch {
      if (at === dirname(at)) return "another user";
    }
  }
}
