import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { Problem } from "../command/problem.ts";
import { findProgram, type ProgramResult, runProgram } from "../command/run-program.ts";
import { pipInstall } from "./pip-install.ts";

/** What checks the manifests, without a cluster. */
export interface KubernetesTools {
  /** Renders a kustomization. Throws Problem with what kubectl says. */
  kustomize(folder: string): Promise<string>;
  /** Holds manifests to the schemas of a Kubernetes version ("1.33"), strictly. Undefined: they pass. */
  validate(version: string, files: readonly string[]): Promise<string | undefined>;
}

const runMs = 60_000;

/** The tools of k8s/requirements.txt, installed into .toolchain if they are not there yet. A Problem if that fails. */
export async function requireKubernetesTools(root: string): Promise<KubernetesTools> {
  const folder = join(root, ".toolchain/kubernetes");
  const requirements = readFileSync(join(root, "k8s/requirements.txt"), "utf8");
  const stamp = join(folder, ".requirements");
  if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== requirements) {
    await install(root, folder, requirements);
  }
  const python = findProgram("python3") ?? "python3";
  return {
    async kustomize(target) {
      const result = await runProgram(join(folder, "bin/kubectl"), ["kustomize", target], {
        timeoutMs: runMs,
      });
      return expectSuccess(result);
    },
    async validate(version, files) {
      const validator = ["-m", "kubernetes_validate", "--strict", "--quiet", "-k", version];
      const env = { ...process.env, PYTHONPATH: folder };
      const result = await runProgram(python, [...validator, ...files], { env, timeoutMs: runMs });
      return result.code === 0 ? undefined : result.output;
    },
  };
}

function expectSuccess({ code, output }: ProgramResult): string {
  if (code !== 0) throw new Problem(output.trim());
  return output;
}

/** Beside its place and then moved, so that a broken download never looks whole. */
async function install(root: string, folder: string, requirements: string): Promise<void> {
  mkdirSync(join(root, ".toolchain"), { recursive: true });
  const fresh = mkdtempSync(join(root, ".toolchain/kubernetes-"));
  try {
    await pipInstall({
      root,
      target: fresh,
      requirements: join(root, "k8s/requirements.txt"),
      what: "the tools that check k8s/",
      otherwise: "use a Python from 3.11 to 3.14",
    });
    chmodSync(join(fresh, "bin/kubectl"), 0o755);
    writeFileSync(join(fresh, ".requirements"), requirements);
    rmSync(folder, { recursive: true, force: true });
    renameSync(fresh, folder);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}
