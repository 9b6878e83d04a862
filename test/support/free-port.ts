import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";

/** Below what a system gives to outgoing connections: there one of those could take it before it is listened on. */
const portMin = 10_081; // fetch refuses 10080, and no other above it
const portMax = 32_000;
const attemptsMax = 1_000;

// In order, from where chance begins: no two calls here get the same, and those of other processes hardly ever.
let next = randomInt(portMin, portMax + 1);

/** A TCP port of the loopback address that was free a moment ago. Whoever listens on it retries with another. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
    const port = next;
    next = port === portMax ? portMin : port + 1;
    if (await isFree(port)) return port;
  }
  throw new Error(`${attemptsMax} ports in a row are in use`);
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
