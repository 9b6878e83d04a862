import { readdirSync, readFileSync } from "node:fs";
import { readState } from "../../../cli/state/state.ts";
import type { TestMesh } from "../mesh/mesh.ts";

/** What a part's process and its children hold at a moment. */
export interface ProcessSample {
  /** Resident megabytes; what processes share counts for each. */
  readonly memoryMb: number;
  readonly descriptors: number;
}

/** Of every part that runs, by name. Only Linux tells. */
export function sampleProcesses({ settings }: TestMesh): ReadonlyMap<string, ProcessSample> {
  const samples = new Map<string, ProcessSample>();
  for (const { name, pid } of readState(settings)?.parts ?? []) {
    const pids = [pid, ...childrenOf(pid)];
    samples.set(name, {
      memoryMb: sum(pids.map(memoryMbOf)),
      descriptors: sum(pids.map(descriptorsOf)),
    });
  }
  return samples;
}

function childrenOf(pid: number): number[] {
  const text = read(`/proc/${pid}/task/${pid}/children`);
  return text
    .split(" ")
    .filter((word) => word.trim() !== "")
    .map(Number);
}

function memoryMbOf(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(read(`/proc/${pid}/status`))?.[1] ?? 0) / 1_024;
}

function descriptorsOf(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return 0; // it has just ended
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return ""; // it has just ended
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
