// Goal: what runs here is what was chosen: every package by its exact version and its hash, under a licence that may be here,
// every action of a workflow by its commit. Method: lockfiles, requirements and workflows, read.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { isAllowed, licenceDocs, lockedPackages } from "../../cli/generate/licence-docs.ts";

const root = join(import.meta.dirname, "../..");
const read = (path: string) => readFileSync(join(root, path), "utf8");
const tracked = (...patterns: string[]) =>
  execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", ...patterns], {
    cwd: root,
    encoding: "utf8",
  })
    .split("\n")
    .filter((path) => path !== "");

describe.each(tracked("package.json", "*/package.json"))("%s", (path) => {
  it("names exact versions", () => {
    const manifest = JSON.parse(read(path)) as Record<string, Record<string, string> | undefined>;
    for (const kind of ["dependencies", "devDependencies", "optionalDependencies"]) {
      for (const [name, version] of Object.entries(manifest[kind] ?? {}))
        expect([name, version]).toEqual([name, expect.stringMatching(/^\d+\.\d+\.\d+(-[\w.]+)?$/)]);
    }
  });
});

describe.each(tracked("package-lock.json", "*/package-lock.json"))("%s", (path) => {
  const packages = lockedPackages(read(path));

  it("has a hash of every package", () => {
    expect(packages.filter(({ hasIntegrity }) => !hasIntegrity)).toEqual([]);
  });

  it("has no package under a licence that may not be here, or under none", () => {
    const strange = packages.filter(({ licence }) => !isAllowed(licence));
    expect(strange.map(({ name, licence }) => `${name}: ${licence}`)).toEqual([]);
  });
});

describe.each(tracked("requirements.txt", "*/requirements.txt"))("%s", (path) => {
  it("names exact versions, each with its hashes", () => {
    const wheels = read(path)
      .replace(/\\\n/g, " ")
      .split("\n")
      .filter((line) => line.trim() !== "" && !line.startsWith("#"));
    expect(wheels.length).toBeGreaterThan(0);
    for (const wheel of wheels) {
      const said = /^(?:--only-binary|--no-deps|[\w.-]+==[\w.]+\s.*--hash=sha256:[0-9a-f]{64})/;
      expect(wheel).toMatch(said);
    }
  });
});

describe("a licence", () => {
  it("is allowed if one of its alternatives is, and all that it joins are", () => {
    for (const fine of ["MIT", "(MIT OR GPL-3.0)", "Apache-2.0 AND BSD-3-Clause", "ISC"])
      expect(isAllowed(fine), fine).toBe(true);
    for (const bad of ["", "GPL-3.0", "MIT AND GPL-3.0", "SEE LICENSE IN x", "(MIT OR X) AND Y"])
      expect(isAllowed(bad), bad).toBe(false);
  });
});

it("docs/licences.md is what the lockfile says: else run ./mesh generate", () => {
  for (const [path, text] of Object.entries(licenceDocs(root))) expect(read(path)).toBe(text);
});

function temporaryFolder(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "sovr-supply-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

interface Workflow {
  readonly permissions?: unknown;
  readonly jobs: Readonly<
    Record<string, { readonly steps: readonly { readonly uses?: string; readonly run?: string }[] }>
  >;
}

describe.each(tracked(".github/workflows/*"))("%s", (path) => {
  const workflow = parse(read(path)) as Workflow;
  const steps = Object.values(workflow.jobs).flatMap((job) => job.steps);

  it("runs actions by their commit, and says which version that is", () => {
    const used = [...read(path).matchAll(/uses: (.+)$/gm)].map(([, use = ""]) => use);
    expect(used).toHaveLength(steps.filter(({ uses }) => uses !== undefined).length);
    for (const use of used)
      expect(use).toMatch(/^[\w.-]+\/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  });

  it("has no more rights than it names, and writes nothing of strangers into a shell", () => {
    expect(workflow.permissions).toBeDefined();
    for (const { run = "" } of steps)
      expect(run).not.toMatch(/\$\{\{\s*(?:github\.(?:event|head_ref)|inputs)/);
  });
});

describe("images", () => {
  it("are named by a version, never by one that moves", () => {
    const named = [
      ...tracked("compose.yaml", "k8s/**/*.yaml").flatMap((path) => [
        ...read(path).matchAll(/(?:image: (?:&\w+ )?[\w./-]+:|newTag: "?)([\w.-]+)/g),
      ]),
      ...read("Dockerfile").matchAll(/^FROM [\w./-]+:([\w.-]+)/gm),
    ];
    expect(named.length).toBeGreaterThan(8);
    for (const [line, version = ""] of named) expect(version, line).toMatch(/^v?\d+\.\d+/);
  });

  it("are all found by what writes their digests down", () => {
    using folder = temporaryFolder();
    const digest = `sha256:${"0".repeat(64)}`;
    // Stands for a docker that reaches the registries.
    writeFileSync(join(folder.path, "docker"), `#!/bin/sh\necho ${digest}\n`, { mode: 0o755 });
    const env = { ...process.env, PATH: `${folder.path}:${process.env["PATH"]}` };
    const lines = execFileSync(join(root, ".ci/image-digests"), { env, encoding: "utf8" });
    const found = lines
      .trim()
      .split("\n")
      .map((line) => line.split(" ")[0]);
    const { services } = parse(read("compose.yaml"), { merge: true }) as {
      readonly services: Readonly<Record<string, { readonly image?: string }>>;
    };
    const images = Object.values(services).flatMap(({ image = "" }) => image);
    const named = [...images, /^FROM (\S+)/m.exec(read("Dockerfile"))?.[1]];
    const foreign = named.filter((image) => image && !image.startsWith("sovr-mesh:"));
    expect(new Set(found)).toEqual(new Set(foreign));
    expect(lines).toContain(` ${digest}\n`);
  });
});
