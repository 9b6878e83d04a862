import { DatabaseSync } from "node:sqlite";
import type { RunningEngine } from "./tigerbeetle.ts";

/**
 * Keeps an engine from answering until the returned function is called, which may be repeated: TigerBeetle is stopped in its
 * tracks, the embedded engine cannot write, for ten seconds at most before its requests fail.
 */
export function holdLedger({ server, config }: RunningEngine): () => void {
  if (server !== undefined) {
    server.pause();
    return () => server.resume();
  }
  if (config.engine.kind !== "embedded") throw new Error("no way to hold this engine");
  const file = new DatabaseSync(config.engine.path, { timeout: 10_000 });
  file.exec("begin immediate");
  let isHeld = true;
  return () => {
    if (isHeld) file.close();
    isHeld = false;
  };
}
