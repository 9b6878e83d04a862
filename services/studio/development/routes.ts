import type { IncomingMessage, ServerResponse } from "node:http";
import { Code, ConnectError } from "@connectrpc/connect";
import { parseWallet } from "#common/address.ts";
import { DomainError, invalidField, type Reason } from "#common/domain-error.ts";
import { parseSignature } from "#common/intent/signature.ts";
import type { Logger } from "#common/process/logger.ts";
import { parseU128 } from "#common/u128.ts";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { sendJson } from "../site.ts";
import type { Development } from "./giveaway.ts";

const bodyBytesMax = 2_048;

const statuses: Readonly<Partial<Record<Reason, number>>> = {
  INVALID_FIELD: 400,
  CREDENTIALS_INVALID: 401,
  METHOD_NOT_FOUND: 404,
  RATE_LIMITED: 429,
};

/** Answers POST /dev/challenge, /dev/token and /dev/faucet, JSON for JSON. Errors are {reason, message}. */
export function createDevelopmentRoutes(development: Development, logger: Logger) {
  return async (
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
  ): Promise<void> => {
    try {
      sendJson(request, response, 200, await answer(development, request, path));
    } catch (error) {
      const { status, reason, message, retryAfterMs } = describe(error, logger);
      if (retryAfterMs !== undefined) {
        response.setHeader("retry-after", Math.ceil(retryAfterMs / 1_000));
      }
      sendJson(request, response, status, { reason, message });
    }
  };
}

async function answer(development: Development, request: IncomingMessage, path: string) {
  if (request.method !== "POST") throw unknownMethod(`${request.method} ${path}`);
  const body = await readJson(request);
  switch (path) {
    case "/dev/challenge":
      return development.challenge(parseWallet(textOf(body, "wallet"), "wallet"));
    case "/dev/token": {
      const signature = parseSignature(textOf(body, "signature"), "signature");
      return development.token(textOf(body, "nonce"), signature);
    }
    case "/dev/faucet": {
      const token = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? "")?.[1] ?? "";
      return development.fund(token, parseU128(textOf(body, "amount"), "amount"));
    }
    default:
      throw unknownMethod(path);
  }
}

function unknownMethod(method: string): DomainError<"METHOD_NOT_FOUND"> {
  return new DomainError("METHOD_NOT_FOUND", `there is no ${method}`, { metadata: { method } });
}

function textOf(body: Readonly<Record<string, unknown>>, field: string): string {
  const value = body[field];
  if (typeof value !== "string") throw invalidField(field, "required", "must be a text");
  return value;
}

/** Reads a body of at most two kilobytes. What else may be wrong with a connection ends at the server's own limits. */
async function readJson(request: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
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

interface Refusal {
  readonly status: number;
  readonly reason: string;
  readonly message: string;
  readonly retryAfterMs?: number | undefined;
}

function describe(error: unknown, logger: Logger): Refusal {
  if (error instanceof DomainError) {
    const { kind, message, retryAfterMs } = error;
    return { status: statuses[kind] ?? 400, reason: kind, message, retryAfterMs };
  }
  logger.warn({ err: error }, "the faucet could not be served");
  if (error instanceof ConnectError) {
    const reason = error.findDetails(ErrorInfoSchema)[0]?.reason ?? Code[error.code];
    return { status: 503, reason, message: error.rawMessage };
  }
  return { status: 500, reason: "INTERNAL", message: "a fault of ours; the log has the cause" };
}
