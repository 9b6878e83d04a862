import { readdirSync, readFileSync } from "node:fs";
import { identify, type ProcessIdentity } from "../state/process-identity.ts";

/** A process of a mesh that no supervisor knows of. */
export interface Stray extends ProcessIdentity {
  /** Of the part that it is. */
  readonly name: string;
}

const variable = "SOVR_MESH_PART";

/** What a part's process carries in its environment, so that it can be found when nothing else tells of it. */
export function markOf(state: string, name: string): NodeJS.ProcessEnv {
  return { [variable]: `${name} of ${state}` };
}

/**
 * The processes of the mesh in a state folder, by their marks, whether or not anything is written of them: a disk may
 * have been full when they were started. Only Linux tells the environment of a process without asking it.
 */
export function findStrays(state: string): readonly Stray[] {
  if (process.platform !== "linux") return [];
  const marked = new Map(
    readdirSync("/proc")
      .filter((name) => /^[0-9]+$/.test(name))
      .flatMap((name) => {
        const part = partOf(Number(name), state);
        return part === undefined ? [] : [[Number(name), part] as const];
      }),
  );
  return [...marked].flatMap(([pid, name]) => {
    // What a part has started itself carries its mark too, and ends with it.
    if (marked.has(parentOf(pid) ?? 0)) return [];
    const identity = identify(pid);
    return identity === undefined ? [] : [{ ...identity, name }];
  });
}

function partOf(pid: number, state: string): string | undefined {
  const environment = read(`/proc/${pid}/environ`);
  const mark = environment?.split("\0").find((entry) => entry.startsWith(`${variable}=`));
  const [name, folder] = mark?.slice(variable.length + 1).split(" of ") ?? [];
  return folder === state ? name : undefined;
}

function parentOf(pid: number): number | undefined {
  const status = read(`/proc/${pid}/stat`);
  return status === undefined
    ? undefined
    : Number(status.slice(status.lastIndexOf(")") + 2).split(" ")[1]);
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "latin1");
  } catch {
    return undefined; // gone meanwhile, or another user's
  }
}
