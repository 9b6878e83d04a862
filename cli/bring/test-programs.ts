import { join } from "node:path";
import { describeError } from "../command/problem.ts";
import { findProgram, isExecutable, lastLine, runProgram } from "../command/run-program.ts";
import { findChromium } from "./chromium.ts";
import { requireEnvoy } from "./envoy.ts";

const grpcurlVersion = "v1.9.4";
export const stripeMockVersion = "v0.203.0";
const buildMs = 300_000;
const installMs = 240_000;

/**
 * Brings the programs that tests need and this machine lacks, where that needs no question. Returns PATH with
 * them on it. What cannot be brought is said here, and its tests are skipped by name or fail with the reason.
 */
export async function bringTestPrograms(root: string): Promise<string> {
  const bin = join(root, ".toolchain/bin");
  await requireEnvoy(root, () => console.log("installing Envoy …")).catch((error: unknown) => {
    console.log(`no Envoy: ${describeError(error)}`);
  });
  const grpcurl = `github.com/fullstorydev/grpcurl/cmd/grpcurl@${grpcurlVersion}`;
  await buildGoProgram(bin, "grpcurl", grpcurl);
  await buildGoProgram(bin, "stripe-mock", `github.com/stripe/stripe-mock@${stripeMockVersion}`);
  if (findChromium() === undefined) await installChromium();
  const { PATH = "" } = process.env;
  return [bin, PATH].join(":");
}

async function buildGoProgram(bin: string, name: string, what: string): Promise<void> {
  if (findProgram(name) !== undefined || isExecutable(join(bin, name))) return;
  const go = findProgram("go");
  if (go === undefined) {
    const why = "it is not on PATH, and there is no Go to build it";
    console.log(`no ${name}: ${why}; its tests are skipped`);
    return;
  }
  console.log(`building ${name} …`);
  const env = { ...process.env, GOBIN: bin };
  const result = await runProgram(go, ["install", what], { env, timeoutMs: buildMs });
  if (result.code !== 0) {
    console.log(`no ${name}: ${lastLine(result.output)}; its tests are skipped`);
  }
}

/** From Debian, where this process may install: the package, and the lists that it is found by. */
async function installChromium(): Promise<void> {
  const apt = findProgram("apt-get");
  const skipped = "the browser tests are skipped";
  if (apt === undefined || process.getuid?.() !== 0) {
    const why = "it is not on PATH, and only root on Debian can install it";
    console.log(`no chromium: ${why}; ${skipped}`);
    return;
  }
  console.log("installing chromium …");
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const options = { env, timeoutMs: installMs };
  await runProgram(apt, ["update", "--quiet"], options);
  const install = ["install", "--yes", "--quiet", "--no-install-recommends", "chromium"];
  const result = await runProgram(apt, install, options);
  if (result.code !== 0) console.log(`no chromium: ${lastLine(result.output)}; ${skipped}`);
}
