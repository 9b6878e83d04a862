import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { freePort } from "../rpc/free-port.ts";

/** What Envoy meets behind it: ports of the loopback address that do one thing each, whatever they are asked. */
export interface FaultyUpstreams {
  /** Nobody listens. */
  readonly refusing: number;
  /** Resets the connection at the first byte of a request. */
  readonly resetting: number;
  /** Takes everything and says nothing. */
  readonly silent: number;
  /** Answers what is no HTTP. */
  readonly garbling: number;
  /** Sends the headers of an answer and then resets; over HTTP/2. */
  readonly cuttingGrpc: number;
  /** The same over HTTP/1.1. */
  readonly cuttingConnect: number;
  stop(): Promise<void>;
}

export async function startFaultyUpstreams(): Promise<FaultyUpstreams> {
  const sockets = new Set<Socket>();
  const watch = <Watched extends Server>(server: Watched): Watched => {
    server.on("connection", (socket: Socket) => {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.once("close", () => sockets.delete(socket));
    });
    return server;
  };
  const servers = {
    resetting: createServer((socket) => socket.once("data", () => socket.resetAndDestroy())),
    silent: createServer((socket) => socket.resume()),
    garbling: createServer((socket) =>
      socket.once("data", () => socket.end("no protocol\r\n\r\n")),
    ),
    cuttingGrpc: createHttp2Server().on("stream", (stream, headers) => {
      stream.on("error", () => undefined);
      stream.respond({ ":status": 200, "content-type": String(headers["content-type"]) });
      setTimeout(() => stream.session?.destroy(), 100);
    }),
    cuttingConnect: createHttpServer((request, response) => {
      request.resume();
      const { searchParams } = new URL(request.url ?? "", "http://localhost");
      const ofGet = `application/${searchParams.get("encoding")}`;
      const contentType = request.headers["content-type"] ?? ofGet;
      response.writeHead(200, { "content-type": contentType }).flushHeaders();
      setTimeout(() => response.destroy(), 100);
    }),
  };
  const port = async (server: Server) => {
    watch(server).listen(0, "127.0.0.1");
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  };
  return {
    refusing: await freePort(),
    resetting: await port(servers.resetting),
    silent: await port(servers.silent),
    garbling: await port(servers.garbling),
    cuttingGrpc: await port(servers.cuttingGrpc),
    cuttingConnect: await port(servers.cuttingConnect),
    async stop() {
      for (const socket of sockets) socket.destroy();
      await Promise.all(
        Object.values(servers).map((server) => new Promise((done) => server.close(done))),
      );
    },
  };
}
