import { cp, mkdir, readdir, readFile, rename, symlink } from "node:fs/promises";
import { delimiter, dirname, join, matchesGlob, posix } from "node:path";
import { runProgram } from "../../../cli/command/run-program.ts";

/** One instruction of a Dockerfile. */
export interface DockerfileStep {
  readonly instruction: string;
  readonly argument: string;
}

/** Reads a Dockerfile. Only what ours uses is known: no heredocs, no parser directives. */
export function dockerfileSteps(text: string): DockerfileStep[] {
  return text
    .replace(/^\s*#.*$/gm, "")
    .replace(/\\\n/g, " ")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .map((line) => {
      const [, instruction = "", argument = ""] = /^(\S+)\s+(.*)$/.exec(line) ?? [];
      return { instruction: instruction.toUpperCase(), argument };
    });
}

/** What the image of a Dockerfile holds, made without Docker. */
export interface ImageTree {
  /** The working folder of the last stage, on this machine. */
  readonly folder: string;
  /** What starts, before the arguments. */
  readonly entrypoint: readonly string[];
  /** What ENV sets. */
  readonly environment: Readonly<Record<string, string>>;
}

interface Stage {
  readonly root: string;
  workdir: string;
  entrypoint: readonly string[];
  readonly environment: Record<string, string>;
}

/**
 * What installs the packages of development: they build Studio, and nobody looks at them afterwards. Where this repository
 * was installed by the same lock they need not come once more; that `npm ci` works in a clean folder is proved by those that
 * the image keeps.
 */
const installAll = "npm ci --ignore-scripts --no-audit --no-fund";

/** For npm on a busy machine. */
const runMs = 240_000;

/**
 * Follows a Dockerfile in `target`: its COPYs, through .dockerignore, and what it runs by npm and node. Throws Error for a step that
 * it cannot follow, so that the Dockerfile cannot do what no test does.
 */
export async function buildImageTree(context: string, target: string): Promise<ImageTree> {
  const stages = new Map<string, Stage>();
  const isIgnored = await ignoreRules(context);
  let stage: Stage | undefined;
  for (const step of dockerfileSteps(await readFile(join(context, "Dockerfile"), "utf8"))) {
    if (step.instruction === "FROM") {
      const name = / AS (\S+)$/i.exec(step.argument)?.[1] ?? "last";
      stage = { root: join(target, name), workdir: "/", entrypoint: [], environment: {} };
      stages.set(name, stage);
      continue;
    }
    if (stage === undefined) throw new Error("the Dockerfile does not begin with FROM");
    await follow(step, stage, { context, stages, isIgnored });
  }
  if (stage === undefined) throw new Error("the Dockerfile is empty");
  const { root, workdir, entrypoint, environment } = stage;
  return { folder: join(root, workdir), entrypoint, environment };
}

interface Build {
  readonly context: string;
  readonly stages: ReadonlyMap<string, Stage>;
  readonly isIgnored: (path: string) => boolean;
}

async function follow(step: DockerfileStep, stage: Stage, build: Build): Promise<void> {
  const { instruction, argument } = step;
  switch (instruction) {
    case "WORKDIR":
      stage.workdir = posix.resolve(stage.workdir, argument);
      await mkdir(join(stage.root, stage.workdir), { recursive: true });
      return;
    case "COPY":
      return copy(argument.split(/\s+/), stage, build);
    case "RUN":
      if (argument === installAll && (await linkPackages(stage, build))) return;
      return run(argument, stage);
    case "ENV": {
      const [, name = "", value = ""] = /^([A-Z_]+)=(\S*)$/.exec(argument) ?? [];
      stage.environment[name] = value;
      return;
    }
    case "ENTRYPOINT":
      stage.entrypoint = JSON.parse(argument) as string[];
      return;
    case "USER":
    case "EXPOSE":
    case "CMD":
      return;
    default:
      throw new Error(`the Dockerfile says ${instruction}, which cannot be followed here`);
  }
}

async function copy(words: readonly string[], stage: Stage, build: Build): Promise<void> {
  const from = words.find((word) => word.startsWith("--from="))?.slice("--from=".length);
  const paths = words.filter((word) => !word.startsWith("--"));
  const destination = paths.at(-1) ?? "";
  for (const source of paths.slice(0, -1)) {
    // COPY a/ b copies what is in a; COPY file b/ puts the file into b.
    const to = join(stage.root, posix.resolve(stage.workdir, destination));
    const place = destination.endsWith("/") ? join(to, posix.basename(source)) : to;
    if (from === undefined) {
      await cp(join(build.context, source), place, {
        recursive: true,
        filter: (path) => !build.isIgnored(path.slice(build.context.length + 1)),
      });
    } else {
      const earlier = build.stages.get(from);
      if (earlier === undefined) throw new Error(`there is no stage ${from}`);
      // Moved, which is quicker: nobody looks at an earlier stage afterwards.
      await rename(join(earlier.root, source), place);
    }
  }
}

/** Lends a stage the packages of this repository; false if other ones are locked. */
async function linkPackages(stage: Stage, { context }: Build): Promise<boolean> {
  const installed = join(context, "node_modules");
  const present = await lockedVersions(join(installed, ".package-lock.json"));
  const wanted = await lockedVersions(join(stage.root, stage.workdir, "package-lock.json"));
  // What is for another platform is not there.
  const isOther = ([path, version]: readonly [string, string | undefined]) =>
    present.has(path) && present.get(path) !== version;
  if ([...wanted].some(isOther)) return false;
  await symlink(installed, join(stage.root, stage.workdir, "node_modules"));
  return true;
}

/** The version of each package, by its place. */
async function lockedVersions(file: string): Promise<ReadonlyMap<string, string | undefined>> {
  const { packages } = JSON.parse(await readFile(file, "utf8")) as {
    readonly packages: Readonly<Record<string, { readonly version?: string }>>;
  };
  return new Map(Object.entries(packages).map(([path, { version }]) => [path, version]));
}

async function run(command: string, stage: Stage): Promise<void> {
  const words = command.split(/\s+/);
  const [program = ""] = words;
  if (program !== "npm" && program !== "node")
    throw new Error(`the Dockerfile runs ${command}, which is not followed here`);
  // npm must run under the Node of the image: under an older one it leaves out what does not fit that one.
  const PATH = [dirname(process.execPath), process.env["PATH"]].join(delimiter);
  const result = await runProgram(program, words.slice(1), {
    cwd: join(stage.root, stage.workdir),
    env: { ...process.env, ...stage.environment, PATH },
    timeoutMs: runMs,
  });
  if (result.code !== 0) throw new Error(`${command} failed:\n${result.output.slice(-2_000)}`);
}

/** The rules of .dockerignore: the last pattern that matches a path or a folder above it decides. */
async function ignoreRules(context: string): Promise<(path: string) => boolean> {
  const rules = (await readFile(join(context, ".dockerignore"), "utf8"))
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => ({ keep: line.startsWith("!"), pattern: line.replace(/^!/, "") }));
  return (path) => {
    const parts = path.split("/");
    const above = parts.map((_, index) => parts.slice(0, index + 1).join("/"));
    const last = rules.findLast(({ pattern }) => above.some((one) => matchesGlob(one, pattern)));
    return last !== undefined && !last.keep;
  };
}

/** Every file of a folder, by its path in it. */
export async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
}
