import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { routeRequests } from "./http-routes.ts";
import { createLogger } from "./logger.ts";

let draining: AbortController;
let server: Server;
let url: string;

beforeEach(async () => {
  draining = new AbortController();
  const listener = routeRequests({
    routes: {
      "/hello": async (request, response) => {
        response.end(`hello ${request.method}`);
      },
      "/broken": () => Promise.reject(new Error("for the log")),
    },
    otherwise: (_request, response) => response.writeHead(418).end(),
    drainSignal: draining.signal,
    logger: createLogger("test", "silent"),
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

  it("answers 503 and closes the connection while the process drains", async () => {
    draining.abort();
    const response = await fetch(`${url}/hello`);
    expect([response.status, await response.json()]).toEqual([503, { error: "draining" }]);
    expect(response.headers.get("connection")).toBe("close");
    expect((await fetch(`${url}/other`)).status).toBe(418);
  });
});
