import { findProgram } from "../command/run-program.ts";

/** The path of a Chromium, or of Chrome, which is one; undefined if none is on PATH. */
export function findChromium(): string | undefined {
  return findProgram("chromium") ?? findProgram("chromium-browser") ?? findProgram("google-chrome");
}
