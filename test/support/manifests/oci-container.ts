import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { findProgram, lastLine, runProgram } from "../../../cli/command/run-program.ts";

/** A container such as a restricted pod runs in: uid 1000, no capabilities, nothing to write to, and a seccomp profile. */
export interface ContainerOptions {
  readonly id: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** What it sees of this machine besides the system's libraries, by its path there. */
  readonly mounts: Readonly<Record<string, string>>;
  /** What of that it may write to, by its path there. */
  readonly writable?: readonly string[];
  /** The file of the seccomp profile. */
  readonly seccomp: string;
}

const user = 1000;
/** Where the Node that runs this test is inside. */
const nodeFolder = "/opt/node";
const system = ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc"].filter((path) =>
  existsSync(path),
);

/** Makes the bundle of a container and returns the command that runs it to its end. Its network is this machine's. */
export function containerCommand(folder: string, options: ContainerOptions): string[] {
  const bundle = join(folder, options.id);
  const mounts = { ...options.mounts, [nodeFolder]: dirname(process.execPath) };
  const binds = [...system.map((path) => [path, path] as const), ...Object.entries(mounts)];
  for (const [inside] of binds) mkdirSync(join(bundle, "rootfs", inside), { recursive: true });
  for (const inside of ["proc", "dev", "tmp"]) {
    mkdirSync(join(bundle, "rootfs", inside), { recursive: true });
  }
  const env = { PATH: `${nodeFolder}:/usr/bin:/bin`, HOME: "/tmp", ...options.env };
  const spec = {
    ociVersion: "1.0.2",
    root: { path: "rootfs", readonly: true },
    process: {
      terminal: false,
      user: { uid: user, gid: user },
      args: options.args,
      cwd: options.cwd,
      env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
      noNewPrivileges: true,
      capabilities: {},
    },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755"] },
      ...binds.map(([destination, source]) => ({
        destination,
        source,
        type: "bind",
        options: ["rbind", options.writable?.includes(destination) === true ? "rw" : "ro"],
      })),
      { destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=1777"] },
    ],
    linux: {
      namespaces: ["pid", "ipc", "uts", "mount"].map((type) => ({ type })),
      seccomp: JSON.parse(readFileSync(options.seccomp, "utf8")) as unknown,
    },
  };
  writeFileSync(join(bundle, "config.json"), JSON.stringify(spec));
  return [...runc(folder), "run", "--bundle", bundle, options.id];
}

/** The process of a container that runs, as this machine numbers it. */
export async function containerPid(folder: string, id: string): Promise<number> {
  const [program = "", ...flags] = runc(folder);
  const { output } = await runProgram(program, [...flags, "state", id], { timeoutMs: 30_000 });
  return (JSON.parse(output) as { readonly pid: number }).pid;
}

/** Gives files to the user of the containers. */
export function giveToContainer(paths: readonly string[]): void {
  for (const path of paths) chownSync(path, user, user);
}

/** Ends a container whatever it does. */
export async function killContainer(folder: string, id: string): Promise<void> {
  const [program = "", ...flags] = runc(folder);
  await runProgram(program, [...flags, "delete", "--force", id], { timeoutMs: 30_000 });
}

/** Why containers cannot be run here, or undefined. */
export async function containersMissing(seccomp: string): Promise<string | undefined> {
  if (findProgram("runc") === undefined) return "the program `runc` is not on PATH";
  if (process.getuid?.() !== 0) return "only root may run containers";
  const folder = mkdtempSync(join(tmpdir(), "sovr-runc-"));
  try {
    const options = { args: ["true"], cwd: "/", env: {}, mounts: {}, seccomp };
    const id = `sovr-probe-${process.pid}`;
    const [program = "", ...flags] = containerCommand(folder, { id, ...options });
    const { code, output } = await runProgram(program, flags, { timeoutMs: 30_000 });
    return code === 0 ? undefined : `runc: ${lastLine(output)}`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Its state lies in the test's folder, so that it meets no other runc. */
function runc(folder: string): string[] {
  return ["runc", "--root", join(folder, "runc")];
}
