import { cpSync, existsSync, renameSync, rmSync } from "node:fs";
import { expect } from "vitest";
import type { RunningEngine } from "./tigerbeetle.ts";

/** The files of a ledger, beside each other. */
export function ledgerFiles({ config: { engine }, server }: RunningEngine): string[] {
  if (engine.kind === "tigerbeetle") return server === undefined ? [] : [server.file];
  return ["", "-wal", "-shm"].map((end) => `${engine.path}${end}`);
}

/**
 * Does something with each file of a ledger while nobody has it open: its clients are closed, and a server is killed and
 * started again. The embedded engine ends by itself after its clients, and takes its log away then: a copy made before
 * would be half of it.
 */
export async function whileShut(
  engine: RunningEngine,
  work: (file: string) => void,
): Promise<void> {
  await engine.server?.kill();
  const files = ledgerFiles(engine);
  if (engine.config.engine.kind === "embedded") {
    const log = files[1] ?? "";
    await expect.poll(() => existsSync(log), { timeout: 60_000 }).toBe(false);
  }
  files.forEach(work);
  await engine.server?.restart();
}

/** For `whileShut`: keeps a copy beside the file. */
export function keepCopy(file: string): void {
  if (existsSync(file)) cpSync(file, `${file}.old`);
}

/** For `whileShut`: puts the kept copy in the file's place. */
export function putBack(file: string): void {
  rmSync(file, { force: true });
  if (existsSync(`${file}.old`)) renameSync(`${file}.old`, file);
}
