import { createServer } from "node:tls";
import { type Server, ServerCredentials } from "@grpc/grpc-js";
import { type Address, formatAddress } from "#common/process/environment.ts";
import { listenError } from "#common/process/listen-http.ts";
import {
  guardServer,
  type SecureServerOptions,
  secureServerOptions,
} from "#common/process/tls/secure-server.ts";

/** What takes connections for a server of gRPC. */
export interface GrpcListener {
  /** Resolves to the port in use. Rejects with a ConfigError if the address cannot be listened on. */
  listen(address: Address): Promise<number>;
  /** Takes no new connections. Those that are there are the server's to end. */
  close(): void;
  /** Cuts those as well whose handshake has not ended. */
  cut(): void;
}

/**
 * Makes one. With `security` connections are taken here and handed to grpc-js: its own TLS knows no callers, and forgets
 * versions and ciphers when a certificate is renewed.
 */
export function createGrpcListener(
  server: Server,
  security: SecureServerOptions | undefined,
): GrpcListener {
  return security === undefined ? plainListener(server) : secureListener(server, security);
}

/** It closes with its server. */
function plainListener(server: Server): GrpcListener {
  const insecure = ServerCredentials.createInsecure();
  return {
    listen: (address) =>
      new Promise((resolve, reject) => {
        server.bindAsync(formatAddress(address), insecure, (error, port) => {
          if (error === null) resolve(port);
          else reject(listenError("GRPC_ADDRESS", address, error));
        });
      }),
    close: () => undefined,
    cut: () => undefined,
  };
}

function secureListener(server: Server, security: SecureServerOptions): GrpcListener {
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const listener = createServer(secureServerOptions(security.certificates, ["h2"]));
  const cut = guardServer(listener, security, (socket) => injector.injectConnection(socket));
  return {
    listen: (address) =>
      new Promise((resolve, reject) => {
        const refuse = (error: Error) => reject(listenError("GRPC_ADDRESS", address, error));
        listener.once("error", refuse);
        listener.listen({ host: address.host, port: address.port }, () => {
          listener.off("error", refuse);
          const bound = listener.address();
          resolve(typeof bound === "object" && bound !== null ? bound.port : address.port);
        });
      }),
    close: () => void listener.close(),
    cut() {
      listener.close();
      cut();
    },
  };
}
