import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";

/** Below what a system gives to outgoing connections: there one of those could take it before it is listened on. */
const portMin = 10_081; // fetch refuses 10080, and no other above it
const portMax = 32_000;
const attemptsMax = 1_000;

/**
 * Test files run beside each other, and a port may wait for long until its service listens, at first or again. Each of
 * the first processes that run them has ports of its own.
 */
const sharesMax = 4;
const shareSize = Math.floor((portMax - portMin + 1) / sharesMax);
const shareMin = portMin + (Number(process.env["VITEST_POOL_ID"] ?? 0) % sharesMax) * shareSize;

// In order, from where chance begins: no two calls here get the same, and those of other runs hardly ever.
let next = randomInt(shareSize);

/** A TCP port of the loopback address that was free a moment ago. Whoever listens on it retries with another. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
    const port = shareMin + next;
    next = (next + 1) % shareSize;
    if (await isFree(port)) return port;
  }
  throw new Error(`${attemptsMax} ports in a row are in use`);
}

/** The first of some ports in a row that were all free a moment ago. */
export async function freePortRun(count: number): Promise<number> {
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
    const first = await freePort();
    let last = first;
    while (last < first + count - 1 && (await freePort()) === last + 1) last += 1;
    if (last === first + count - 1) return first;
  }
  throw new Error(`no ${count} ports in a row are free`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen({ host: "127.0.0.1", port, exclusive: true });
  try {
    await once(server, "listening");
  } catch {
    return false;
  }
  server.close();
  await once(server, "close");
  return true;
}
