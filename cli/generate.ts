import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { compileContracts } from "../contracts/compile.ts";
import { accessDocs } from "./generate/access-docs.ts";
import { bookSchema } from "./generate/book-schema.ts";
import { errorMetadata } from "./generate/error-metadata.ts";
import { licenceDocs } from "./generate/licence-docs.ts";
import { protoDocs } from "./generate/proto-docs.ts";
import { readProtoFiles } from "./generate/proto-files.ts";

// Writes what follows from proto/: gen/ the pages of docs/ that are made of its comments and options, and the
// schema of books; the page of licences
// from the lockfile; and the contracts, compiled.
// `--check` writes nothing, names every file that is not what it would write, and fails if there is one.

const root = fileURLToPath(new URL("../", import.meta.url));
const check = process.argv.includes("--check");
const output = check ? mkdtempSync(join(tmpdir(), "mesh-generate-")) : root;
try {
  execFileSync(join(root, "node_modules/.bin/buf"), ["generate", "-o", output], {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, PATH: `${join(root, "node_modules/.bin")}:${process.env["PATH"]}` },
  });
  const files = readProtoFiles(root);
  for (const [path, text] of Object.entries(errorMetadata(files))) {
    writeFileSync(join(output, path), text);
  }
  const stale = check ? [...staleFiles(join(output, "gen"), join(root, "gen"))] : [];
  const pages = {
    ...protoDocs(files),
    ...accessDocs(files),
    ...licenceDocs(root),
    ...compileContracts(root),
    ...bookSchema(files),
  };
  for (const [path, text] of Object.entries(pages)) {
    if (!check) writeFileSync(join(root, path), text);
    else if (readOrEmpty(join(root, path)) !== text) stale.push(path);
  }
  for (const path of stale)
    console.error(`${path} is not what it is made from: run ./mesh generate`);
  process.exitCode = stale.length === 0 ? 0 : 1;
} finally {
  if (check) rmSync(output, { recursive: true, force: true });
}

function* staleFiles(fresh: string, committed: string): Generator<string> {
  const names = new Set([...filesBelow(fresh), ...filesBelow(committed)]);
  for (const name of names) {
    if (readOrEmpty(join(fresh, name)) !== readOrEmpty(join(committed, name))) yield `gen/${name}`;
  }
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
