import { expect } from "vitest";
import type { TestMesh } from "../mesh/mesh.ts";

/**
 * What ./mesh status --json prints, once every part is healthy: a part has three seconds to answer, which a busy machine
 * may pass by. `timeoutMs`: to end what hangs, and far above what a slow machine needs.
 */
export async function healthyStatus(mesh: TestMesh, timeoutMs = 120_000): Promise<string> {
  let printed = "";
  const status = async () => {
    const { code, stdout } = await mesh.run("status", "--json");
    printed = stdout;
    return code;
  };
  await expect.poll(status, { timeout: timeoutMs, interval: 200 }).toBe(0);
  return printed;
}
