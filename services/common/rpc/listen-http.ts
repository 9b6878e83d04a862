import type { Server } from "node:http";
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

/** Why an address cannot be listened on, for people. */
export function listenError(variable: string, address: Address, error: Error): ConfigError {
  const inUse = error.message.includes("EADDRINUSE");
  const problem = inUse
    ? "the port is in use; stop what uses it or choose another"
    : `cannot listen there (${error.message})`;
  return new ConfigError(variable, formatAddress(address), problem);
}
