import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { DomainError, type Reason } from "#common/domain-error.ts";
import { BadRequestSchema, RetryInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { infoOf } from "./errors.ts";
import { isReason, ruleOf } from "./reasons.ts";

/** The reasons that speak of the caller's token. In a call to a peer that is ours, not that of whoever we work for. */
const aboutCredentials: ReadonlySet<string> = new Set<Reason>([
  "CREDENTIALS_MISSING",
  "CREDENTIALS_INVALID",
  "SCOPE_MISSING",
]);

/** The reasons that the way to a peer has: the peer itself has said nothing. */
const aboutTheWay: ReadonlySet<string> = new Set<Reason>(["EDGE_UNAVAILABLE", "EDGE_TIMEOUT"]);

/**
 * What the error of a call to a peer means to whoever we work for: the peer's own reason with all that came with it, as
 * if it were ours; or a plain Error, which becomes INTERNAL and a line in the log, where the peer refused our own
 * credential. Undefined if it carries no reason that we know: the peer did not answer, is newer than we are, or it is no
 * error of a call.
 * `peer` names the peer in the log, such as "attestor".
 */
export function peerError(peer: string, error: unknown): Error | undefined {
  if (!(error instanceof ConnectError)) return undefined;
  const info = infoOf(error);
  if (aboutCredentials.has(info?.reason ?? "") || error.code === Code.Unauthenticated) {
    return new Error(`${peer} refuses our own credential: ${error.rawMessage}`, {
      cause: error,
    });
  }
  if (info === undefined || !isReason(info.reason) || aboutTheWay.has(info.reason)) {
    return undefined;
  }
  const [retry] = error.findDetails(RetryInfoSchema);
  return DomainError.received(info.reason, error.rawMessage, {
    metadata: info.metadata,
    violations: error
      .findDetails(BadRequestSchema)
      .flatMap(({ fieldViolations }) => fieldViolations)
      .map(({ field, description, reason }) => ({ field, description, rule: reason })),
    early: error.code === ruleOf(info.reason).earlyCode,
    ...(retry?.retryDelay === undefined ? {} : { retryAfterMs: durationMs(retry.retryDelay) }),
    cause: error,
  });
}
