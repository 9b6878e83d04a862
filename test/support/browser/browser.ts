import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { findChromium } from "../../../cli/bring/chromium.ts";
import { noteStarted } from "../../../cli/test/started.ts";

const screenshots = join(import.meta.dirname, "../../../.mesh-test/screenshots");

/** Chromium on this machine, or undefined. */
export const chromiumProgram = findChromium();

/** Why the browser tests cannot run here; undefined if they can. */
export const browserMissing =
  chromiumProgram === undefined
    ? "no chromium or google-chrome on PATH; on Debian, ./mesh test installs one when it runs as root"
    : undefined;

/** Starts Chromium, which keeps nothing and calls nobody but the page's own server. */
export function openBrowser(): Promise<Browser> {
  if (chromiumProgram === undefined) throw new Error(browserMissing);
  noteStarted("browser");
  return chromium.launch({
    executablePath: chromiumProgram,
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

/** Keeps a picture of a page under .mesh-test/screenshots. */
export async function keepScreenshot(page: Page, name: string): Promise<void> {
  if (!existsSync(screenshots)) mkdirSync(screenshots, { recursive: true });
  await page.screenshot({ path: join(screenshots, `${name}.png`), animations: "disabled" });
}

/** What a page complains of from now on: uncaught errors, and what its policy refused. */
export function complaints(page: Page): readonly string[] {
  const said: string[] = [];
  page.on("pageerror", (error) => said.push(error.message));
  page.on("console", (message) => {
    // A call that fails on purpose is logged by the browser itself; the app shows it to the user.
    if (message.type() === "error" && !/^Failed to load resource/.test(message.text())) {
      said.push(message.text());
    }
  });
  return said;
}
