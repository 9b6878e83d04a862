import { EventEmitter } from "node:events";
import type { IncomingHttpHeaders } from "node:http2";
import type { Server } from "@grpc/grpc-js";
import { limitCallerTimeout } from "../caller-timeout.ts";
import type { Guard } from "../guard.ts";

/**
 * Puts `grpc-timeout` right before grpc-js reads it, which it does before any interceptor. It offers no way to its HTTP/2
 * servers, so the method that makes them is wrapped, and our listener comes before its own. Were the method renamed, long
 * deadlines would fire at once again and the contract test of deadlines fail.
 */
export function limitCallerTimeouts(server: Server, guard: Guard): void {
  const create: unknown = Reflect.get(server, "createHttp2Server");
  if (typeof create !== "function") return;
  Reflect.set(server, "createHttp2Server", (...options: unknown[]) => {
    const http2Server: unknown = Reflect.apply(create, server, options);
    if (http2Server instanceof EventEmitter)
      http2Server.prependListener("stream", (_stream, headers: IncomingHttpHeaders) =>
        limitCallerTimeout(headers, guard.planOf(headers[":path"] ?? "")),
      );
    return http2Server;
  });
}
