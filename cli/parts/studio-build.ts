import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { Problem } from "../command/problem.ts";
import { lastLine, runProgram } from "../command/run-program.ts";
import { syncTree } from "../state/write-whole.ts";

const buildMs = 120_000;

/** What the app is made of: its sources, the contracts, what it shares with the services, and the packages. */
const sources = [
  "services/studio/app",
  "common",
  "gen",
  "package-lock.json",
  "package.json",
  "cli/parts/studio-build.ts",
];

const distFolder = (root: string) => join(root, "services/studio/dist");
const stampFile = (folder: string) => join(folder, "built-from");

/** True if services/studio/dist is what the sources make. */
export function isStudioBuilt(root: string): boolean {
  const file = stampFile(distFolder(root));
  return existsSync(file) && readFileSync(file, "utf8") === stampOf(root);
}

/**
 * Builds the app into services/studio/dist, beside it first, so that a build that fails or is stopped leaves the old
 * one as it was. Rejects with a Problem that says what Vite says.
 */
export async function buildStudio(root: string, signal?: AbortSignal): Promise<void> {
  const stamp = stampOf(root);
  const fresh = mkdtempSync(join(root, "services/studio/dist-"));
  try {
    const vite = join(root, "node_modules/vite/bin/vite.js");
    const app = join(root, "services/studio/app");
    const flags = ["build", app, "--outDir", fresh, "--emptyOutDir", "--logLevel", "warn"];
    const { code, output } = await runProgram(process.execPath, [vite, ...flags], {
      cwd: root,
      env: { ...process.env, NODE_ENV: "production" },
      timeoutMs: buildMs,
      ...(signal === undefined ? {} : { signal }),
    });
    signal?.throwIfAborted();
    if (code !== 0) throw new Problem(`Studio cannot be built: ${lastLine(output)}\n${output}`);
    chmodSync(fresh, 0o755); // a temporary folder is its maker's alone; the image runs as somebody else
    writeFileSync(stampFile(fresh), stamp);
    syncTree(fresh); // the stamp must not outlast a power cut without what it stands for
    rmSync(distFolder(root), { recursive: true, force: true });
    renameSync(fresh, distFolder(root));
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

/** A hash of every source, by name and content. */
function stampOf(root: string): string {
  const hash = createHash("sha256");
  for (const source of sources) {
    for (const file of filesOf(root, source))
      hash.update(file).update(readFileSync(join(root, file)));
  }
  return hash.digest("hex");
}

/** The files of a source below `root`, sorted, without tests. */
function filesOf(root: string, source: string): string[] {
  if (/\.(ts|json)$/.test(source)) return [source];
  return readdirSync(join(root, source), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith(".test.ts"))
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .sort();
}
