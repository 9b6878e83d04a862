import type { RequestListener, Server, ServerOptions } from "node:http";
import {
  createServer as createHttp2Server,
  type ServerOptions as Http2Options,
  type ServerHttp2Session,
} from "node:http2";
import type { Socket } from "node:net";
import { createHttpServer } from "./tls/http-server.ts";
import type { SecureServerOptions } from "./tls/secure-server.ts";

export interface WebServerOptions {
  readonly http1: ServerOptions;
  readonly http2: Http2Options;
  /** How long a connection may say nothing before it is known which protocol it speaks. */
  readonly firstByteMs: number;
  /** Mutual TLS with parts of the mesh; without it everything goes in the clear. */
  readonly security?: SecureServerOptions | undefined;
}

/** A server of HTTP/1.1 and of HTTP/2 on one port. */
export interface WebServer {
  /** Listens and closes as any; its close waits for sessions of HTTP/2, too. */
  readonly server: Server;
  /** Lets sessions of HTTP/2 finish what they have, and take nothing more. */
  endSessions(): void;
  /** Cuts every connection. */
  cut(): void;
}

const preface = "PRI * HTTP/2.0";
/** No method of HTTP/1.1 begins with these. */
const prefaceStart = preface.slice(0, 3);

/**
 * Makes one. Node's server of HTTP/2 speaks the other protocol over TLS alone, so the first bytes of a connection decide
 * here which of two servers gets it. `listener` sees requests of HTTP/2 through Node's compatibility interface.
 */
export function createWebServer(options: WebServerOptions, listener: RequestListener): WebServer {
  const sessions = new Set<ServerHttp2Session>();
  const undecided = new Set<Socket>();
  const http2 = createHttp2Server(options.http2, listener as unknown as Http2Listener);
  http2.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
    if (!server.listening) session.close();
  });
  // Without a listener the error of one connection would end the process.
  http2.on("sessionError", () => undefined);
  const server = createHttpServer(
    {
      ...options,
      protocols: ["h2", "http/1.1"],
      onConnection(socket, serve) {
        undecided.add(socket);
        decide(socket, options.firstByteMs, (isHttp2) => {
          undecided.delete(socket);
          if (isHttp2 === undefined) socket.destroy();
          else if (isHttp2) http2.emit("connection", socket);
          else serve();
        });
      },
    },
    listener,
  );
  return {
    server,
    endSessions() {
      for (const session of sessions) session.close();
    },
    cut() {
      server.closeAllConnections();
      for (const session of sessions) session.destroy();
      for (const socket of undecided) socket.destroy();
    },
  };
}

type Http2Listener = NonNullable<Parameters<typeof createHttp2Server>[1]>;

/** Reads until it is clear what a connection speaks, and puts back what it read. Undefined: it ended before. */
function decide(socket: Socket, firstByteMs: number, done: (isHttp2?: boolean) => void): void {
  const finish = (isHttp2?: boolean) => {
    clearTimeout(timer);
    for (const [event, listener] of listeners) socket.off(event, listener);
    if (isHttp2 !== undefined) socket.unshift(bytes);
    done(isHttp2);
  };
  const end = () => finish();
  let bytes = Buffer.alloc(0);
  const read = () => {
    const more: Buffer | null = socket.read();
    if (more === null) return;
    bytes = Buffer.concat([bytes, more]);
    const start = bytes.toString("latin1", 0, prefaceStart.length);
    if (start.length < prefaceStart.length && prefaceStart.startsWith(start)) return;
    finish(start === prefaceStart);
  };
  const listeners = [
    ["readable", read],
    ["end", end],
    ["error", end],
    ["close", end],
  ] as const;
  const timer = setTimeout(end, firstByteMs);
  for (const [event, listener] of listeners) socket.on(event, listener);
}
