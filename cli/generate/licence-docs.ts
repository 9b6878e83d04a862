import { readFileSync } from "node:fs";
import { join } from "node:path";

/** A package of the lockfile. */
export interface LockedPackage {
  readonly name: string;
  readonly version: string;
  /** An SPDX expression; "" if the package says none. */
  readonly licence: string;
  /** Whether it is in the image; else it serves development, tests, or Studio's build. */
  readonly isShipped: boolean;
  /** Whether what it is is held to what was locked. */
  readonly hasIntegrity: boolean;
}

/**
 * The licences that may be here: those that ask of whoever ships the whole no more than to say so, and MPL-2.0, whose files
 * stay its own.
 */
const allowed = new Set([
  "0BSD",
  "Apache-2.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "BlueOak-1.0.0",
  "CC0-1.0",
  "ISC",
  "MIT",
  "MPL-2.0",
  "Python-2.0",
  "Unlicense",
]);

/** Whether an SPDX expression is met by what is allowed: one of alternatives, all of what is joined. Unknown forms are not. */
export function isAllowed(expression: string): boolean {
  const bare = expression.trim().replace(/^\((.*)\)$/, "$1");
  if (/[()]/.test(bare)) return false;
  return bare.split(" OR ").some((part) => part.split(" AND ").every((name) => allowed.has(name)));
}

/** What a package says in a form that npm does not read any more. */
const saidElsewhere: Readonly<Record<string, string>> = {
  "memorystream@0.3.1": "MIT",
};

interface Locked {
  readonly version?: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly integrity?: string;
}

/** Every package of a lockfile's text, by name and version. */
export function lockedPackages(text: string): LockedPackage[] {
  const { packages } = JSON.parse(text) as { readonly packages: Readonly<Record<string, Locked>> };
  const found = new Map<string, LockedPackage>();
  for (const [path, locked] of Object.entries(packages)) {
    if (path === "") continue;
    const { version = "", license: licence = "", dev, devOptional, integrity } = locked;
    const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
    const key = `${name}@${version}`;
    const isShipped = !dev && !devOptional;
    found.set(key, {
      name,
      version,
      licence: licence || (saidElsewhere[key] ?? ""),
      isShipped: isShipped || found.get(key)?.isShipped === true,
      hasIntegrity: integrity !== undefined,
    });
  }
  return [...found.values()].sort((a, b) =>
    `${a.name} ${a.version}` < `${b.name} ${b.version}` ? -1 : 1,
  );
}

/** The page of all licences, by path from the root. */
export function licenceDocs(root: string): Readonly<Record<string, string>> {
  const packages = lockedPackages(readFileSync(join(root, "package-lock.json"), "utf8"));
  const rows = (isShipped: boolean) =>
    packages
      .filter((locked) => locked.isShipped === isShipped)
      .map(({ name, version, licence }) => `| ${name} | ${version} | ${licence || "unknown"} |`);
  const lines = [
    "# Licences",
    "",
    "Written from `package-lock.json` by `./mesh generate`; do not edit. SOVR Mesh itself is [Apache-2.0](../LICENSE). The build",
    "refuses a package whose licence is none of these, or that says none:",
    `${[...allowed].join(", ")}.`,
    "",
    "What `./mesh` brings beside them for development and tests is not part of what is released: Envoy and PostgreSQL (wheels and",
    "packages with hashes in `requirements.txt` files), Node, grpcurl, Chromium, kubectl. Images name theirs by version.",
    "",
    "## In the image",
    "",
    "| package | version | licence |",
    "|---|---|---|",
    ...rows(true),
    "",
    "## For development, tests and the build of Studio",
    "",
    "| package | version | licence |",
    "|---|---|---|",
    ...rows(false),
    "",
  ];
  return { "docs/licences.md": lines.join("\n") };
}
