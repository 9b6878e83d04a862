import type { IncomingMessage } from "node:http";
import { Code, ConnectError } from "@connectrpc/connect";
import { DomainError, invalidField, type Reason } from "#common/domain-error.ts";
import type { Logger } from "#common/process/logger.ts";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.ts";

/** Of a request to Studio's server. */
export const bodyBytesMax = 2_048;

const statuses: Readonly<Partial<Record<Reason, number>>> = {
  INVALID_FIELD: 400,
  CREDENTIALS_INVALID: 401,
  SESSION_EXPIRED: 401,
  SIGN_IN_REFUSED: 403,
  METHOD_NOT_FOUND: 404,
  RATE_LIMITED: 429,
  RECORDS_UNAVAILABLE: 503,
  SIGN_IN_UNAVAILABLE: 503,
};

/** Reads a JSON object of at most two kilobytes. INVALID_FIELD. What else may be wrong with a connection ends at the server's own limits. */
export async function readJson(
  request: IncomingMessage,
): Promise<Readonly<Record<string, unknown>>> {
  // A page of another origin can send such a body only after asking, and nothing here allows it.
  if (!/^application\/json\b/i.test(request.headers["content-type"] ?? "")) {
    throw invalidField("content-type", "json", "must be application/json");
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bodyBytesMax) throw invalidField("", "size", `at most ${bodyBytesMax} bytes`);
    chunks.push(chunk);
  }
  try {
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString("utf8"));
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch {
    // said below
  }
  throw invalidField("", "json", "must be a JSON object");
}

/** A field that is a text. INVALID_FIELD. */
export function textOf(body: Readonly<Record<string, unknown>>, field: string): string {
  const value = body[field];
  if (typeof value !== "string") throw invalidField(field, "required", "must be a text");
  return value;
}

export function unknownMethod(method: string): DomainError<"METHOD_NOT_FOUND"> {
  return new DomainError("METHOD_NOT_FOUND", `there is no ${method}`, { metadata: { method } });
}

/** What a caller is told of an error. */
export interface Refusal {
  readonly status: number;
  readonly reason: string;
  readonly message: string;
  readonly retryAfterMs?: number | undefined;
}

/** An error in the words of an answer. What is no refusal goes to the log, with `what` could not be done. */
export function refusalOf(error: unknown, logger: Logger, what: string): Refusal {
  if (error instanceof DomainError) {
    const { kind, message, retryAfterMs } = error;
    const status = statuses[kind] ?? 400;
    // What a provider found wrong is the operator's to mend, and nobody else is told.
    if (status >= 500 || error.cause !== undefined)
      logger.warn({ err: error }, `${what} could not be served`);
    return { status, reason: kind, message, retryAfterMs };
  }
  logger.warn({ err: error }, `${what} could not be served`);
  if (error instanceof ConnectError) {
    const reason = error.findDetails(ErrorInfoSchema)[0]?.reason ?? Code[error.code];
    return { status: 503, reason, message: error.rawMessage };
  }
  return { status: 500, reason: "INTERNAL", message: "a fault of ours; the log has the cause" };
}
