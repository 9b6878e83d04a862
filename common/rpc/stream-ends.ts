import type { HandlerContext } from "@connectrpc/connect";
import type { StreamEnds } from "#common/stream-life.ts";
import { requirePrincipal } from "./access/principal.ts";
import { drainSignalKey } from "./drain.ts";

/**
 * When and why the stream of a call has to end: when the caller leaves, the process drains, the credentials expire, or
 * a little before `streamAgeMsMax`, each at its own time, so that clients do not all come back at once.
 */
export function streamEnds(ctx: HandlerContext, streamAgeMsMax: number): StreamEnds {
  const ageEndsAtMs = Date.now() + streamAgeMsMax * (0.9 + Math.random() * 0.1);
  const { expiresAtMs } = requirePrincipal(ctx);
  return {
    signal: ctx.signal,
    drain: ctx.values.get(drainSignalKey),
    endsAtMs: Math.min(ageEndsAtMs, expiresAtMs),
    endsBecause: expiresAtMs < ageEndsAtMs ? "credentials_expired" : "max_age",
  };
}
