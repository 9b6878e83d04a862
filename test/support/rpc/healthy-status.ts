import { expect } from "vitest";
import type { TestMesh } from "../mesh/mesh.ts";

/** To end what hangs, and far above what a slow machine needs. */
const patience = { timeout: 120_000, interval: 200 };

/**
 * What ./mesh status --json prints, once every part is healthy: a part has three seconds to answer, which a busy machine
 * may pass by. `patience`: the suite's unless it is given, in milliseconds.
 */
export async function healthyStatus(
  mesh: TestMesh,
  patience: { readonly timeout?: number } = {},
): Promise<string> {
  let printed = "";
  const status = async () => {
    const { code, stdout } = await mesh.run("status", "--json");
    printed = stdout;
    return code;
  };
  await expect.poll(status, patience).toBe(0);
  return printed;
}
