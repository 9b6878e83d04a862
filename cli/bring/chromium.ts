import { findProgram, lastLine, runProgram } from "../command/run-program.ts";

const installMs = 240_000;

/** The path of a Chromium, or of Chrome, which is one; undefined if none is on PATH. */
export function findChromium(): string | undefined {
  return findProgram("chromium") ?? findProgram("chromium-browser") ?? findProgram("google-chrome");
}

/**
 * Brings Chromium, unless it is there: from Debian, where this process may install the package and the lists that it is
 * found by. Returns why it could not, if so.
 */
export async function bringChromium(): Promise<string | undefined> {
  if (findChromium() !== undefined) return undefined;
  const apt = findProgram("apt-get");
  if (apt === undefined || process.getuid?.() !== 0) {
    return "it is not on PATH, and only root on Debian can install it";
  }
  console.log("installing chromium …");
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const options = { env, timeoutMs: installMs };
  await runProgram(apt, ["update", "--quiet"], options);
  const install = ["install", "--yes", "--quiet", "--no-install-recommends", "chromium"];
  const result = await runProgram(apt, install, options);
  return result.code === 0 ? undefined : lastLine(result.output);
}
