import {
  chmodSync,
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";

/** Only its owner reads it: the state folder holds keys, and what names them. */
const ownerOnly = 0o600;

/**
 * Writes a small file whole or not at all, and so that it stays: when this returns, a power cut finds the new text; cut
 * before that, it finds the old one. A reader never sees half of it. Makes the folder if there is none. `mode`: of the
 * file, whatever the umask says.
 */
export function writeWhole(file: string, text: string, mode = ownerOnly): void {
  const folder = dirname(file);
  makeFolder(folder);
  const fresh = freshName(file);
  try {
    writeSynced(fresh, text, mode);
    renameSync(fresh, file);
  } catch (error) {
    rmSync(fresh, { force: true });
    throw error;
  }
  syncFolder(folder);
}

/** The same, unless the file holds just that: what is started again on a full disk needs nothing of it then. */
export function keepWhole(file: string, text: string, mode = ownerOnly): void {
  if (!holds(file, text, mode)) writeWhole(file, text, mode);
}

function holds(file: string, text: string, mode: number): boolean {
  try {
    return (statSync(file).mode & 0o777) === mode && readFileSync(file, "utf8") === text;
  } catch {
    return false; // whatever is wrong with it, it is written anew
  }
}

/**
 * The same for a file that must not be there yet: returns false, and changes nothing, if it is. Of several who try at
 * once one succeeds, and nobody sees the file before it is whole.
 */
export function writeWholeOnce(file: string, text: string, mode = ownerOnly): boolean {
  const folder = dirname(file);
  makeFolder(folder);
  const fresh = freshName(file);
  try {
    writeSynced(fresh, text, mode);
    linkSync(fresh, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  } finally {
    rmSync(fresh, { force: true });
  }
  syncFolder(folder);
  return true;
}

/** Makes a folder with all above it, and so that they stay. */
export function makeFolder(folder: string, mode?: number): void {
  const first = mkdirSync(folder, { recursive: true, ...(mode === undefined ? {} : { mode }) });
  if (first === undefined) return;
  for (let made = folder; ; made = dirname(made)) {
    syncFolder(dirname(made));
    if (made === first || made === dirname(made)) return;
  }
}

/** Makes what was created, renamed or removed in a folder outlast a power cut. */
export function syncFolder(folder: string): void {
  const fd = openSync(folder, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Makes a folder with all that is in it outlast a power cut, before it is moved to where it counts as whole. */
export function syncTree(folder: string): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile() || entry.isDirectory()) syncFolder(join(entry.parentPath, entry.name));
  }
  syncFolder(folder);
}

/** Beside its place, so that the rename stays in one file system; of this process, so that two never share one. */
function freshName(file: string): string {
  return join(dirname(file), `.${basename(file)}.${process.pid}.new`);
}

function writeSynced(file: string, text: string, mode: number): void {
  const fd = openSync(file, "w", mode);
  try {
    writeFileSync(fd, text);
    chmodSync(file, mode); // what open() sets is less the umask
    fsyncSync(fd);
  } catch (error) {
    // Of what fails on an open file Node does not say where, and a full disk is worth a name.
    throw error instanceof Error ? Object.assign(error, { path: dirname(file) }) : error;
  } finally {
    closeSync(fd);
  }
}
