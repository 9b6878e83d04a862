import { readFileSync, statSync } from "node:fs";
import { parseSigners, type Signers } from "./signers.ts";

/** The signers file, read again when it changes. */
export interface SignersFile {
  /** The signers as last read well. */
  current(): Signers;
  close(): void;
}

/** How often the file's time and size are looked at, in milliseconds. A revocation takes effect within it. */
const pollMs = 1_000;

/**
 * Opens the signers file. A file that cannot be read or parsed stops the start; later on the last good content
 * stays in force and `onError` is told, because an editor's half-written file must not stop the mesh.
 */
export function openSignersFile(path: string, onError: (error: unknown) => void): SignersFile {
  let signers = parseSigners(readFileSync(path, "utf8"));
  let seen = version(path);
  const timer = setInterval(() => {
    try {
      const now = version(path);
      if (now === seen) return;
      seen = now;
      signers = parseSigners(readFileSync(path, "utf8"));
    } catch (error) {
      onError(error);
    }
  }, pollMs);
  timer.unref();
  return { current: () => signers, close: () => clearInterval(timer) };
}

function version(path: string): string {
  const { mtimeMs, size, ino } = statSync(path);
  return `${mtimeMs}/${size}/${ino}`;
}
