import type { IncomingMessage, ServerResponse } from "node:http";
import { parseWallet } from "#common/address.ts";
import { parseSignature } from "#common/intent/signature.ts";
import type { Logger } from "#common/process/logger.ts";
import { parseU128 } from "#common/u128.ts";
import { readJson, refusalOf, textOf, unknownMethod } from "../json-routes.ts";
import { sendJson } from "../site.ts";
import type { Development } from "./giveaway.ts";

export interface DevelopmentRoutesOptions {
  /** False: only who is signed in has a token, and there is the faucet alone. */
  readonly givesTokens: boolean;
}

/** Answers POST /dev/challenge, /dev/token and /dev/faucet, JSON for JSON. Errors are {reason, message}. */
export function createDevelopmentRoutes(
  development: Development,
  logger: Logger,
  { givesTokens }: DevelopmentRoutesOptions,
) {
  return async (
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
  ): Promise<void> => {
    try {
      sendJson(request, response, 200, await answer(development, request, path, givesTokens));
    } catch (error) {
      const { status, reason, message, retryAfterMs } = refusalOf(error, logger, "the faucet");
      if (retryAfterMs !== undefined) {
        response.setHeader("retry-after", Math.ceil(retryAfterMs / 1_000));
      }
      sendJson(request, response, status, { reason, message });
    }
  };
}

async function answer(
  development: Development,
  request: IncomingMessage,
  path: string,
  givesTokens: boolean,
) {
  if (request.method !== "POST" || (!givesTokens && path !== "/dev/faucet"))
    throw unknownMethod(`${request.method} ${path}`);
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
