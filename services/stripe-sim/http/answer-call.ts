import { createHash } from "node:crypto";
import type { Call } from "../objects/call.ts";
import { type ErrorBody, invalidRequest, StripeSimError } from "../objects/errors.ts";
import type { KeptAnswer } from "../objects/stored.ts";
import { showToBrowser } from "../payments/intents.ts";
import { type KeyHolder, secretKeyRequired } from "./api-key.ts";
import { decodeForm, FormError, type FormMap } from "./form-codec.ts";
import { findRoute } from "./routes.ts";

export interface ApiRequest {
  readonly requestId: string;
  readonly method: string;
  readonly path: string;
  /** Query of a GET or DELETE, body of a POST; without `key`. */
  readonly form: string;
  readonly caller: KeyHolder;
  readonly idempotencyKey: string | undefined;
}

export interface ApiAnswer {
  readonly status: number;
  readonly body: string;
  /** The request that was answered so first, if this one only repeats it. */
  readonly replayOf?: string;
  /** Events that it made. */
  readonly events: readonly string[];
}

export const keepAnswersMs = 24 * 3_600_000;

/** The form of a request. Throws StripeSimError. */
export function readForm(text: string): FormMap {
  try {
    return decodeForm(text);
  } catch (error) {
    if (!(error instanceof FormError)) throw error;
    throw invalidRequest(error.message, error.path === "" ? {} : { param: error.path });
  }
}

/**
 * Answers one request of the API. Effect, events, deliveries and the answer of its idempotency key are one
 * transaction. Throws StripeSimError for what never began; that is not kept for the key.
 */
export function answerCall(request: ApiRequest, call: Call): ApiAnswer {
  const { method, path, caller, idempotencyKey: key } = request;
  const found = findRoute(method, path);
  if (found === undefined) {
    throw new StripeSimError(404, {
      type: "invalid_request_error",
      message: `Unrecognized request URL (${method}: ${path.slice(0, 200)}). This simulator knows fewer paths than Stripe.`,
    });
  }
  if (caller.browser && !found.route.browser) throw secretKeyRequired();
  const kept = method === "POST" && key !== undefined;
  const print = fingerprint(request.form);
  const earlier = kept ? call.store.findAnswer(caller.account, key) : undefined;
  if (earlier !== undefined) return replay(request, earlier, print);
  const run = found.route.prepare(readForm(request.form));
  return call.store.transaction(() => {
    const { status, body } = perform(() => run(call, found.id), request);
    const text = JSON.stringify(body, null, 2);
    if (kept) {
      const answer = { path, fingerprint: print, status, body: text, requestId: request.requestId };
      call.store.keepAnswer(caller.account, key, answer, call.nowMs);
    }
    return { status, body: text, events: call.events };
  });
}

/** A refusal is an answer like any other: what it wrote down, such as a failed charge, stays. */
function perform(
  run: () => object,
  { requestId, caller }: ApiRequest,
): { status: number; body: object } {
  try {
    return { status: 200, body: run() };
  } catch (error) {
    if (!(error instanceof StripeSimError)) throw error;
    const { payment_intent: intent, ...rest } = error.body;
    const shown = caller.browser && intent !== undefined ? showToBrowser(intent) : intent;
    const body = shown === undefined ? rest : { ...rest, payment_intent: shown };
    return { status: error.status, body: errorBody(body, requestId) };
  }
}

export function errorBody(error: Omit<ErrorBody, "payment_intent">, requestId: string): object {
  const { code } = error;
  const docs =
    code === undefined
      ? {}
      : { doc_url: `https://stripe.com/docs/error-codes/${code.replaceAll("_", "-")}` };
  const request_log_url = `https://dashboard.stripe.com/test/logs/${requestId}`;
  return { error: { ...error, ...docs, request_log_url } };
}

function replay(request: ApiRequest, earlier: KeptAnswer, print: string): ApiAnswer {
  const { idempotencyKey: key, path } = request;
  const other = `Try using a key other than '${key}' if you meant to execute a different request.`;
  if (earlier.path !== path) {
    throw idempotencyError(
      400,
      `Keys for idempotent requests can only be used for the same endpoint they were first used for ('${path}' vs '${earlier.path}'). ${other}`,
    );
  }
  if (earlier.fingerprint !== print) {
    throw idempotencyError(
      400,
      `Keys for idempotent requests can only be used with the same parameters they were first used with. ${other}`,
    );
  }
  return { status: earlier.status, body: earlier.body, replayOf: earlier.requestId, events: [] };
}

export function keyInUse(key: string): StripeSimError {
  return idempotencyError(
    409,
    `There is currently another in-progress request using this Idempotent Key (that probably means you submitted twice, and the other request is still going through): ${key}. Please try again later.`,
    "idempotency_key_in_use",
  );
}

function idempotencyError(status: number, message: string, code?: string): StripeSimError {
  const body = { type: "idempotency_error", message } as const;
  return new StripeSimError(status, code === undefined ? body : { ...body, code });
}

/** The same for the same parameters in any order. */
function fingerprint(form: string): string {
  const pairs = [...new URLSearchParams(form)].map((pair) => JSON.stringify(pair)).sort();
  return createHash("sha256").update(pairs.join("\n")).digest("hex");
}
