import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { Problem } from "../command/problem.ts";
import type { Part } from "../parts/part.ts";
import { identify } from "../state/process-identity.ts";
import { readSettings } from "../state/settings.ts";
import type { PartState } from "../state/state.ts";
import { lastMessage, logFile } from "./log-files.ts";
import { createSupervisor } from "./supervisor.ts";

const settings = readSettings({ MESH_STATE: mkdtempSync(join(tmpdir(), "sovr-supervisor-")) });
afterAll(() => rmSync(settings.state, { recursive: true, force: true }));

const lives = "setInterval(() => undefined, 1000)";

/** A part that runs `program` and is ready as soon as it is asked, unless told otherwise. */
function part(
  name: string,
  dependsOn: string[],
  more: Partial<Part> & { program?: string } = {},
): Part {
  const { program = lives, ...rest } = more;
  return {
    name,
    dependsOn,
    ports: [],
    readyMs: 10_000,
    stopSignal: "SIGTERM",
    stopMs: 5_000,
    launch: () => Promise.resolve({ command: [process.execPath, "-e", program], env: process.env }),
    probe: () => Promise.resolve("1.0"),
    ...rest,
  };
}

function supervise(parts: readonly Part[]) {
  const lines: string[] = [];
  const changes: (readonly PartState[])[] = [];
  const supervisor = createSupervisor({
    settings,
    parts,
    report: (line) => lines.push(line),
    onChange: (change) => changes.push(change),
  });
  const everStarted = () => [...new Set(changes.flat().map(({ pid }) => pid))];
  return { ...supervisor, lines, changes, everStarted };
}

const never = new AbortController().signal;
const words = (lines: readonly string[]) => lines.map((line) => line.split(" ")[0]);

// A process takes its time to start on a busy machine.
const patience = { timeout: 20_000 };

describe("createSupervisor", { timeout: 30_000 }, () => {
  it("starts each part after what it depends on, and stops it before", async () => {
    const mesh = supervise([part("a", []), part("b", ["a"]), part("c", ["b"])]);
    await mesh.start(never);
    expect(words(mesh.lines)).toEqual(["a", "b", "c"]);
    await mesh.stop();
    const running = mesh.changes.map((change) => change.map(({ name }) => name).join(""));
    // Each twice: when it runs, and when it has said its version.
    expect(running).toEqual(["a", "a", "ab", "ab", "abc", "abc", "ab", "a", ""]);
    expect(mesh.everStarted().filter((pid) => identify(pid) !== undefined)).toEqual([]);
  });

  it("fails with what a part says that ends at its start, and then stops everything", async () => {
    // It ends once it was asked whether it is ready: by then its start was told.
    const asked = join(settings.state, "asked");
    const program = `setInterval(() => {
      if (!require("node:fs").existsSync(${JSON.stringify(asked)})) return;
      console.log("no disk");
      process.exit(3);
    }, 5)`;
    const probe = async () => {
      writeFileSync(asked, "");
      throw new Error("not yet");
    };
    const mesh = supervise([part("a", []), part("b", ["a"], { program, probe })]);
    const failure = await mesh.start(never).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(Problem);
    expect(String(failure)).toMatch(
      /b ended at its start \(exit code 3\): no disk; its log is .*\/b\.log/,
    );
    await mesh.stop();
    expect(mesh.everStarted()).toHaveLength(2);
    expect(mesh.everStarted().filter((pid) => identify(pid) !== undefined)).toEqual([]);
  });

  it("fails with the part that cannot be prepared, and with nothing that follows from it", async () => {
    const unready = () => Promise.reject(new Error("not yet"));
    const prepare = () => Promise.reject(new Problem("no network"));
    const mesh = supervise([part("a", [], { probe: unready }), part("b", ["a"], { prepare })]);
    await expect(mesh.start(never)).rejects.toEqual(new Problem("no network"));
    await mesh.stop();
    expect(mesh.everStarted().filter((pid) => identify(pid) !== undefined)).toEqual([]);
  });

  it("names a part that is not ready in time, and why", async () => {
    const probe = () => Promise.reject(new Error("waits for records"));
    const mesh = supervise([part("a", [], { probe, readyMs: 200 })]);
    await expect(mesh.start(never)).rejects.toThrow(
      /^a was not ready within 0\.2 s: waits for records/,
    );
    await mesh.stop();
  });

  it("starts a part again that dies, and tells", async () => {
    const mesh = supervise([part("a", [])]);
    await mesh.start(never);
    const first = mesh.changes.at(-1)?.[0]?.pid ?? 0;
    process.kill(first, "SIGKILL");
    await expect.poll(() => mesh.changes.at(-1)?.[0]?.restarts, patience).toBe(1);
    expect(mesh.changes.at(-1)?.[0]?.pid).not.toBe(first);
    expect(mesh.lines.at(-1)).toBe("a died (SIGKILL); it is started again in 250 ms");
    await mesh.stop();
    expect(mesh.everStarted().filter((pid) => identify(pid) !== undefined)).toEqual([]);
  });

  it("starts without a spare, says once what it lacks, and starts it when it can", async () => {
    let attempts = 0;
    let isLost = true;
    const launch = async () => {
      attempts += 1;
      if (isLost) throw new Problem("its data is lost");
      return { command: [process.execPath, "-e", lives], env: process.env };
    };
    const mesh = supervise([part("a", [], { isSpare: () => isLost, launch }), part("b", ["a"])]);
    await mesh.start(never);
    await expect.poll(() => attempts, patience).toBeGreaterThan(1);
    isLost = false;
    const names = () => mesh.changes.at(-1)?.map(({ name }) => name);
    await expect.poll(names, patience).toEqual(["a", "b"]);
    expect(mesh.changes.at(-1)?.[0]?.restarts).toBe(0);
    expect(mesh.lines.filter((line) => line.startsWith("a "))).toEqual([
      "a cannot be started: its data is lost",
    ]);
    await mesh.stop();
    expect(mesh.everStarted().filter((pid) => identify(pid) !== undefined)).toEqual([]);
  });

  it("kills a part that does not stop", async () => {
    const program = `process.on("SIGTERM", () => undefined); console.log("up"); ${lives}`;
    const mesh = supervise([part("a", [], { program, stopMs: 100 })]);
    await mesh.start(never);
    const pid = mesh.everStarted()[0] ?? 0;
    // Before it has set its handler it would end by the signal.
    await expect.poll(() => lastMessage(logFile(settings, "a")), patience).toBe("up");
    await mesh.stop();
    expect(mesh.lines.at(-1)).toBe("a did not stop within 0.1 s and is killed");
    expect(identify(pid)).toBeUndefined();
  });

  it("gives up its start when it is told to", async () => {
    const stop = new AbortController();
    const probe = () => Promise.reject(new Error("not yet"));
    const mesh = supervise([part("a", [], { probe })]);
    const started = mesh.start(stop.signal);
    stop.abort(new Problem("stopped by SIGINT"));
    await expect(started).rejects.toEqual(new Problem("stopped by SIGINT"));
    await mesh.stop();
    expect(mesh.everStarted().filter((pid) => identify(pid) !== undefined)).toEqual([]);
  });
});
