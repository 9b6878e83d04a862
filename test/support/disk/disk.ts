import { execFileSync } from "node:child_process";
import {
  chmodSync,
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  statfsSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** A disk of a test's own, which can be filled and whose power can be cut: ext4 in a file, mounted by a loop device. */
export interface TestDisk {
  /** Its root. Everybody may pass it. */
  readonly folder: string;
  /** Takes all space that is left, and from then on what others free, until `free`. */
  fill(): void;
  /** Gives back all that `fill` took. */
  free(): void;
  /** Cuts the power: what was not synced is lost, and nothing can be written or synced any more until `restore`. */
  cut(): void;
  /** Gives the power back. Whoever holds files on it must have ended, or be about to. */
  restore(): Promise<void>;
  /** Unmounts and deletes it. Safe to repeat. */
  remove(): void;
}

/** How often `fill` takes what others have freed. */
const refillMs = 10;
const blockBytes = 4_096;
/** How long a process that was killed may hold the disk. */
const releaseMs = 30_000;

let why: string | null | undefined;

/** Why no such disk can be had here, for the name of a test that is skipped; undefined if it can. Tries it once. */
export function whyNoDisk(): string | undefined {
  if (why === undefined) {
    try {
      const disk = openDisk(8);
      try {
        disk.cut();
      } finally {
        disk.remove();
      }
      why = null;
    } catch (error) {
      why = `no disk of its own can be mounted: ${String((error as Error).message).split("\n")[0]}`;
    }
  }
  return why ?? undefined;
}

/** Makes and mounts a disk of so many megabytes; it takes up only what is written to it. Throws where that is not allowed. */
export function openDisk(megabytes: number): TestDisk {
  const home = mkdtempSync(join(tmpdir(), "sovr-disk-"));
  chmodSync(home, 0o755);
  const image = join(home, "image");
  const folder = join(home, "disk");
  mkdirSync(folder);
  writeFileSync(image, "");
  truncateSync(image, megabytes * 1_048_576);
  const end = () => removeDisk(home, folder);
  try {
    run("mkfs.ext4", "-q", "-F", "-m", "0", "-b", String(blockBytes), image);
    mount(image, folder);
  } catch (error) {
    rmSync(home, { recursive: true, force: true });
    throw error;
  }
  process.once("exit", end);
  const ballast = createBallast(folder);
  return {
    folder,
    fill: ballast.take,
    free: ballast.drop,
    cut: () => cutPower(folder),
    restore: async () => {
      await unmount(folder);
      mount(image, folder);
    },
    remove: () => {
      ballast.stop();
      process.off("exit", end);
      end();
    },
  };
}

/** A file that takes up the rest of a disk. */
function createBallast(folder: string) {
  const file = join(folder, "ballast");
  let timer: NodeJS.Timeout | undefined;
  const top = () => {
    const fd = openSync(file, "a");
    try {
      for (;;) writeSync(fd, Buffer.alloc(blockBytes));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
    } finally {
      closeSync(fd);
    }
  };
  const stop = () => {
    clearInterval(timer);
    timer = undefined;
  };
  return {
    take() {
      // At once by far the most of it: to write gigabytes would take a while.
      const { bavail, bsize } = statfsSync(folder);
      const most = bavail * bsize - 64 * blockBytes;
      if (most > 0) run("fallocate", "-l", String(most), file);
      top();
      timer ??= setInterval(top, refillMs).unref();
    },
    drop() {
      stop();
      const fd = openSync(file, "a");
      ftruncateSync(fd, 0);
      closeSync(fd);
    },
    stop,
  };
}

/**
 * FS_IOC_SHUTDOWN with FS_GOING_FLAGS_NOLOGFLUSH: the file system ends as at a power cut, with its journal as far as it
 * was written. Node has no ioctl; Python is there wherever the mesh is.
 */
function cutPower(folder: string): void {
  const program = `
import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack("I", 2))`;
  run("python3", "-c", program, folder);
}

/** Its journal is written when somebody syncs, and next to never by itself: what nobody has synced is lost at a cut. */
function mount(image: string, folder: string): void {
  run("mount", "-o", "loop,commit=600", image, folder);
}

async function unmount(folder: string): Promise<void> {
  for (const untilMs = Date.now() + releaseMs; ; await sleep(50)) {
    try {
      return run("umount", folder);
    } catch (error) {
      if (Date.now() > untilMs) throw error;
    }
  }
}

/** Whoever still holds files on it goes on for as long as it lives, and nobody else sees it any more. */
function removeDisk(home: string, folder: string): void {
  try {
    run("umount", "-l", folder);
  } catch {
    // It was not mounted, as between the two halves of `restore`.
  }
  rmSync(home, { recursive: true, force: true });
}

function run(program: string, ...words: string[]): void {
  execFileSync(program, words, { stdio: ["ignore", "ignore", "pipe"], timeout: 60_000 });
}
