import { createServer, type RequestListener, type Server, type ServerOptions } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { Socket } from "node:net";
import { guardServer, type SecureServerOptions, secureServerOptions } from "./secure-server.ts";

export interface HttpServerOptions {
  readonly http1: ServerOptions;
  /** Mutual TLS with parts of the mesh; without it everything goes in the clear. */
  readonly security?: SecureServerOptions | undefined;
  /** What it speaks, as a client of TLS may choose. Default: HTTP/1.1. */
  readonly protocols?: readonly string[];
  /** Gets every connection that may be there; `serve` speaks HTTP/1.1 with it. Default: that. */
  readonly onConnection?: (socket: Socket, serve: () => void) => void;
}

/** Makes a server of HTTP/1.1 that does not listen yet. With `security` nobody else than parts of the mesh gets in. */
export function createHttpServer(options: HttpServerOptions, listener: RequestListener): Server {
  const { http1, security, protocols = ["http/1.1"] } = options;
  if (security === undefined) {
    const server = createServer(http1, listener);
    server.on("connection", takeOver(server, "connection", options));
    return server;
  }
  const tls = secureServerOptions(security.certificates, protocols);
  const server = createSecureServer({ ...http1, ...tls }, listener);
  const cutAll = guardServer(server, security, takeOver(server, "secureConnection", options));
  const closeAllConnections = server.closeAllConnections.bind(server);
  // HTTP knows no connection before its handshake has ended.
  server.closeAllConnections = () => {
    closeAllConnections();
    cutAll();
  };
  return server;
}

/** Takes from a server what it does with a connection, and returns what is done in its place. */
function takeOver(
  server: Server,
  event: "connection" | "secureConnection",
  { onConnection = (_, serve) => serve() }: HttpServerOptions,
): (socket: Socket) => void {
  const http1Listeners = server.listeners(event);
  server.removeAllListeners(event);
  return (socket) =>
    onConnection(socket, () => {
      for (const listener of http1Listeners) Reflect.apply(listener, server, [socket]);
    });
}
