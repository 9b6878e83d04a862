import type { ServerOptions } from "node:http2";
import { runtimeLimits } from "./runtime-limits.ts";

/**
 * How many streams of one connection may be reset at once, and how many in a second from then on, before Node ends the
 * connection. Over a connection from the edge come the calls of many: with Node's own numbers, 1,000 and 33, one client
 * who resets his would end those of all the others. It is the edge that ends connections of clients who do so.
 */
export const resetLimits = { streamResetBurst: 100_000, streamResetRate: 100_000 } as const;

/** What a server of HTTP/2 takes of one connection. */
export const http2ServerOptions = {
  ...resetLimits,
  maxSessionMemory: runtimeLimits.megabytesOfConnection,
  settings: { maxConcurrentStreams: runtimeLimits.streamsOfConnection },
} satisfies ServerOptions;
