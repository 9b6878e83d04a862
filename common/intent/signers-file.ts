import { readFileSync, statSync } from "node:fs";
import { asError } from "#common/domain-error.ts";
import { ConfigError } from "#common/process/environment.ts";
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
 * Opens the signers file. One that cannot be read or parsed stops the start: throws ConfigError. Later on the last good
 * content stays in force and `onFault` is told, because an editor's half-written file must not stop the mesh.
 */
export function openSignersFile(
  path: string,
  onFault: (error: unknown, message: string) => void,
): SignersFile {
  let { seen, signers } = firstReading(path);
  let problem = "";
  const timer = setInterval(() => {
    try {
      const current = version(path);
      if (current === seen) return;
      signers = successors(signers, parseSigners(readFileSync(path, "utf8")));
      // Only now: what could not be read is tried again until it can, or a revocation might be lost.
      seen = current;
      problem = "";
    } catch (error) {
      // Told once, not once a second for as long as it lasts.
      if (problem !== String(error))
        onFault(error, "the signers file is bad; the signers stay as they were");
      problem = String(error);
    }
  }, pollMs);
  timer.unref();
  return { current: () => signers, close: () => clearInterval(timer) };
}

function firstReading(path: string): { readonly seen: string; readonly signers: Signers } {
  try {
    // The version first: a change between the two reads is then seen once more, not missed.
    const seen = version(path);
    return { seen, signers: parseSigners(readFileSync(path, "utf8")) };
  } catch (error) {
    throw new ConfigError("SIGNERS_FILE", path, asError(error).message);
  }
}

/** The new signers, unless one of the old is gone: what it signed must stay verifiable, and a revocation known. */
function successors(old: Signers, next: Signers): Signers {
  const gone = old.find(({ address }) => !next.some((signer) => signer.address === address));
  if (gone === undefined) return next;
  throw new Error(`signers: ${gone.address} is gone; entries are never deleted`);
}

function version(path: string): string {
  const { mtimeMs, size, ino } = statSync(path);
  return `${mtimeMs}/${size}/${ino}`;
}
