// Goal: a command ends as its user expects. Method: processes of their own, whose output and end are looked at.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "command-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a command whose output nobody reads after its first piece. */
async function runUnread(body: string) {
  const file = join(folder, "main.ts");
  const command = JSON.stringify(join(import.meta.dirname, "command.ts"));
  writeFileSync(file, `import { runCommand } from ${command};\n${body}`);
  const child = spawn(process.execPath, [file], { stdio: ["ignore", "pipe", "pipe"] });
  const stderr = text(child.stderr);
  child.stdout.once("data", () => child.stdout.destroy());
  const [code] = (await once(child, "exit")) as [number | null];
  return { code, stderr: await stderr };
}

const talks = "const timer = setInterval(() => console.log('more'), 5);";

describe("a command whose reader has gone", () => {
  it("ends at once and says nothing", async () => {
    const result = await runUnread(`${talks} runCommand(() => new Promise(() => undefined));`);
    expect(result).toEqual({ code: 141, stderr: "" });
  });

  it("is told to stop if it has something to put away first", async () => {
    const result = await runUnread(`
      ${talks}
      runCommand(() => new Promise((resolve) => {
        process.once("SIGTERM", () => {
          clearInterval(timer);
          console.error("put away");
          resolve(3);
        });
      }));`);
    expect(result).toEqual({ code: 3, stderr: "put away\n" });
  });
});
