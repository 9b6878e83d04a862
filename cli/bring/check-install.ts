// Run by ./mesh after npm, with nothing installed for certain: says what of package-lock.json is not there, if anything.
// Programs for a platform are optional packages to npm, which leaves them out without a word when its settings say so.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

interface LockedPackage {
  readonly optional?: boolean;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
  readonly libc?: readonly string[];
}

const root = process.cwd();
const lock = readFileSync(join(root, "package-lock.json"), "utf8");
const { packages } = JSON.parse(lock) as { packages: Record<string, LockedPackage> };
const missing = Object.entries(packages)
  .filter(([path, one]) => path !== "" && isNeeded(one) && !existsSync(join(root, path)))
  .map(([path]) => path.replace(/^node_modules\//, ""));
if (missing.length > 0) {
  console.error(
    `not installed: ${missing.slice(0, 5).join(", ")}${missing.length > 5 ? ", …" : ""}`,
  );
  process.exitCode = 1;
}

/** Whether this platform needs a package: each that is not optional, and each that is made for this platform. */
function isNeeded({ optional, os, cpu, libc }: LockedPackage): boolean {
  const fits =
    includes(os, process.platform) && includes(cpu, process.arch) && includes(libc, ownLibc());
  return fits && (optional !== true || os !== undefined || cpu !== undefined);
}

/** A list of npm's: names, or names that are excluded by a mark of exclamation. */
function includes(list: readonly string[] | undefined, own: string): boolean {
  if (list === undefined) return true;
  return (
    list.includes(own) || (list.every((name) => name.startsWith("!")) && !list.includes(`!${own}`))
  );
}

function ownLibc(): string {
  if (process.platform !== "linux") return "none";
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  return header.glibcVersionRuntime === undefined ? "musl" : "glibc";
}
