import { setTimeout as sleep } from "node:timers/promises";
import { isRunning, type ProcessIdentity } from "../state/process-identity.ts";

export interface StopRequest {
  readonly process: ProcessIdentity;
  readonly signal: NodeJS.Signals;
  /** How long it may take after `signal` before it is killed. */
  readonly graceMs: number;
}

/** Stops a process: its signal, a bounded wait, SIGKILL, another bounded wait. Returns whether it is gone. */
export async function stopProcess({ process, signal, graceMs }: StopRequest): Promise<boolean> {
  if (!sendSignal(process, signal)) return true;
  if (await isGoneWithin(process, graceMs)) return true;
  sendSignal(process, "SIGKILL");
  return isGoneWithin(process, 5_000);
}

/** Sends a signal, unless the process is gone. Returns whether it was there. */
export function sendSignal(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isRunning(identity)) return false;
  try {
    process.kill(identity.pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}

async function isGoneWithin(identity: ProcessIdentity, limitMs: number): Promise<boolean> {
  const deadline = Date.now() + limitMs;
  for (;;) {
    if (!isRunning(identity)) return true;
    if (Date.now() >= deadline) return false;
    await sleep(25);
  }
}
