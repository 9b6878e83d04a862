import type { ServerOptions } from "@grpc/grpc-js";
import { runtimeLimits } from "../limits/runtime-limits.ts";
import { requestBytesMaxLargest } from "../method-plan.ts";

/** The options of every grpc-js server, each set on purpose. Defaults that would be wrong: no limit of anything. */
export function grpcServerOptions(streamAgeMsMax: number): ServerOptions {
  return {
    // The largest of all methods'; the mount enforces the smaller one of each.
    "grpc.max_receive_message_length": requestBytesMaxLargest,
    // A client whose machine vanished is noticed within 80 seconds, though it never closed its connection.
    "grpc.keepalive_time_ms": 60_000,
    "grpc.keepalive_timeout_ms": 20_000,
    // Clients resolve names again only when a connection ends, so this is how new replicas get their share.
    // Streams end themselves with `closing` before the grace is over.
    "grpc.max_connection_age_ms": 30 * 60_000,
    "grpc.max_connection_age_grace_ms": streamAgeMsMax + 60_000,
    // Envoy carries many subscribers over one connection; it opens another when this many share it.
    "grpc.max_concurrent_streams": runtimeLimits.streamsOfConnection,
    // Megabytes that nghttp2 may hold for one connection: 1,000 stuck streams with a 64 KiB window each, and room.
    // Beyond it new streams are refused instead of memory growing.
    "grpc-node.max_session_memory": runtimeLimits.megabytesOfConnection,
    // Channelz stays on, at a microsecond a call: without it grpc-js keeps no list of its connections, and
    // forceShutdown cuts none of them.
    "grpc.enable_channelz": 1,
  };
}
