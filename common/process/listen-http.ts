import type { Server } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { type Address, ConfigError, formatAddress } from "./environment.ts";

/**
 * Listens for HTTP and resolves to the port in use, also where the address said 0. Rejects with a ConfigError that names
 * the variable with which the address was given.
 */
export function listenHttp(server: Server, variable: string, address: Address): Promise<number> {
  return new Promise((resolve, reject) => {
    const refuse = (error: Error) => reject(listenError(variable, address, error));
    server.once("error", refuse);
    server.listen({ host: address.host, port: address.port }, () => {
      server.off("error", refuse);
      const bound = server.address();
      resolve(typeof bound === "object" && bound !== null ? bound.port : address.port);
    });
  });
}

/**
 * Takes no new connections, and gives the requests under way `graceMs` milliseconds, or until `forced` fires; then cuts
 * off what is left. Never rejects.
 */
export async function closeHttp(
  server: Server,
  graceMs: number,
  forced: AbortSignal,
): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const grace = sleep(graceMs, undefined, { signal: forced, ref: false }).catch(() => undefined);
  await Promise.race([closed, grace]);
  server.closeAllConnections();
}

/** Why an address cannot be listened on, for people. */
export function listenError(variable: string, address: Address, error: Error): ConfigError {
  const inUse = error.message.includes("EADDRINUSE");
  const problem = inUse
    ? "the port is in use; stop what uses it or choose another"
    : `cannot listen there (${error.message})`;
  return new ConfigError(variable, formatAddress(address), problem);
}
