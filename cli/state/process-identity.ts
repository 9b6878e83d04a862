import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** A process that cannot be mistaken for a later one with the same number. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it started, in whatever form the system tells; equal for the same process, different for another. */
  readonly started: string;
}

/** The identity of a running process, or undefined if there is none; a zombie is none. */
export function identify(pid: number): ProcessIdentity | undefined {
  const started = process.platform === "linux" ? startedOnLinux(pid) : startedElsewhere(pid);
  return started === undefined ? undefined : { pid, started };
}

/** Whether a process was stopped in its tracks, as by SIGSTOP: it is there, and answers nobody. */
export function isFrozen({ pid }: ProcessIdentity): boolean {
  return (process.platform === "linux" ? statusOnLinux(pid)?.[0] : statusElsewhere(pid)) === "T";
}

export function isRunning(identity: ProcessIdentity): boolean {
  return identify(identity.pid)?.started === identity.started;
}

/** Counted from the system's own start, so that it takes both to tell a process from one before a power cut. */
function startedOnLinux(pid: number): string | undefined {
  const fields = statusOnLinux(pid);
  if (fields === undefined || fields[0] === "Z" || fields[0] === "X") return undefined;
  return `${fields[19]} of ${systemStart()}`;
}

let knownStart: string | undefined;

/** Another one each time that the system starts. */
function systemStart(): string {
  try {
    knownStart ??= readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    knownStart = ""; // hidden, as in some sandboxes: the time alone has to do
  }
  return knownStart;
}

/** The fields of /proc/PID/stat from the state on: state, …, start time (the 20th of them). */
function statusOnLinux(pid: number): readonly string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name, in parentheses, may hold anything.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined; // no such process
  }
}

function startedElsewhere(pid: number): string | undefined {
  const out = askPs(pid, "stat=,lstart=");
  return out === "" || out.startsWith("Z") ? undefined : out.replace(/^\S+\s+/, "");
}

function statusElsewhere(pid: number): string {
  return askPs(pid, "stat=").slice(0, 1);
}

function askPs(pid: number, columns: string): string {
  try {
    return execFileSync("ps", ["-o", columns, "-p", String(pid)], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return ""; // no such process
  }
}
