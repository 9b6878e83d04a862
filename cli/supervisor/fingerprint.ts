import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Launch } from "../parts/part.ts";

/**
 * Tells whether a process that runs is the one that would be started now: of its command, of the variables that mean
 * something to it, and of the configuration that it reads. What a shell adds of its own does not count. Hex; it gives
 * away nothing that it is made of, for keys come in files.
 */
export function fingerprintOf(root: string, { command, env, uid, gid, config }: Launch): string {
  const known = documentedVariables(root);
  const variables = Object.entries(env)
    .filter(([name, value]) => value !== undefined && value !== "" && known.has(plainName(name)))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const what = JSON.stringify([command, variables, uid ?? null, gid ?? null, config ?? ""]);
  return createHash("sha256").update(what).digest("hex");
}

/** Every variable that the mesh reads stands in .env.example. */
function documentedVariables(root: string): ReadonlySet<string> {
  const text = readFileSync(join(root, ".env.example"), "utf8");
  return new Set(
    [...text.matchAll(/^#?([A-Z][A-Z0-9_]*)=/gm)].map(([, name]) => plainName(name ?? "")),
  );
}

function plainName(name: string): string {
  return name.replace(/_FILE$/, "");
}
