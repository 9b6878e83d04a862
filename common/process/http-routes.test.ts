import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { connect } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { routeRequests } from "./http-routes.ts";
import { createLogger } from "./logger.ts";

let draining: AbortController;
let server: Server;
let url: string;
let lines: Record<string, unknown>[];
let begun: PromiseWithResolvers<void>;
const log = {
  write: (line: string) => lines.push(JSON.parse(line)),
} as unknown as NodeJS.WritableStream;

beforeEach(async () => {
  draining = new AbortController();
  lines = [];
  begun = Promise.withResolvers();
  const listener = routeRequests({
    routes: {
      "/hello": async (request, response) => {
        response.end(`hello ${request.method}`);
      },
      "/reads": async (request, response) => {
        for await (const _chunk of request) begun.resolve();
        response.end();
      },
      "/broken": () => Promise.reject(new Error("for the log")),
    },
    otherwise: (_request, response) => response.writeHead(418).end(),
    drainSignal: draining.signal,
    logger: createLogger("test", "debug", { format: "json", destination: log }),
  });
  server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  url = `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
});
afterEach(() => {
  server.close();
  server.closeAllConnections();
});

describe("routeRequests", () => {
  it("serves a path exactly, with any method and query, and hands every other one on", async () => {
    const response = await fetch(`${url}/hello?name=x`, { method: "POST" });
    expect([response.status, await response.text()]).toEqual([200, "hello POST"]);
    for (const path of ["/", "/hello/", "/Hello", "/hello/x", "/constructor"]) {
      expect((await fetch(url + path)).status, path).toBe(418);
    }
  });

  it("answers 500 for a route that fails, and does not say why", async () => {
    const response = await fetch(`${url}/broken`);
    expect([response.status, await response.json()]).toEqual([500, { error: "internal" }]);
  });

  it("has no error in the log for a caller that leaves in the middle of its body", async () => {
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    socket.write("POST /reads HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc");
    await begun.promise;
    socket.destroy();
    await expect.poll(() => lines).toMatchObject([{ level: "debug", msg: "the caller left" }]);
  });

  it("answers 503 and closes the connection while the process drains", async () => {
    draining.abort();
    const response = await fetch(`${url}/hello`);
    expect([response.status, await response.json()]).toEqual([503, { error: "draining" }]);
    expect(response.headers.get("connection")).toBe("close");
    expect((await fetch(`${url}/other`)).status).toBe(418);
  });
});
