import { readFileSync } from "node:fs";

/** Clock ticks a second in /proc: 100 on every Linux. */
const ticksPerSecond = 100;

/** CPU seconds that a process has used so far. Linux only, as all here. */
export function cpuSecondsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** The memory that a process has now, in MB. */
export function residentMegabytesOf(pid: number): number {
  return megabytesOf(pid, "VmRSS");
}

/** The most memory that a process has had, in MB. */
export function peakMegabytesOf(pid: number): number {
  return megabytesOf(pid, "VmHWM");
}

function megabytesOf(pid: number, field: string): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1_024;
}
