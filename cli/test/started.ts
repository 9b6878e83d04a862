import { appendFileSync } from "node:fs";

/** What tests start besides themselves. */
export const startables = [
  "postgres",
  "database",
  "mesh",
  "service",
  "tigerbeetle",
  "envoy",
  "browser",
] as const;

export type Startable = (typeof startables)[number];

/** How often each was started. */
export type Started = Readonly<Record<Startable, number>>;

/** The environment variable with the file of which each line is a Startable that was started. */
export const startedVariable = "MESH_TEST_STARTED";

/** Is called by whatever starts something for a test; counts only under ./mesh test. */
export function noteStarted(...started: readonly Startable[]): void {
  const file = process.env[startedVariable];
  if (file === undefined || started.length === 0) return;
  // One write: the processes of a suite append to the same file at once.
  appendFileSync(file, `${started.join("\n")}\n`);
}

/** Counts the lines of that file. Throws for a line that is none of ours: what is counted wrong tells nothing. */
export function countStarted(text: string): Started {
  const counts = Object.fromEntries(startables.map((name) => [name, 0])) as Record<
    Startable,
    number
  >;
  for (const line of text.split("\n").filter((name) => name !== "")) {
    if (!isStartable(line)) throw new Error(`tests start no "${line}"`);
    counts[line] += 1;
  }
  return counts;
}

function isStartable(name: string): name is Startable {
  return (startables as readonly string[]).includes(name);
}
