import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { answerControl } from "../control/routes.ts";
import type { StripeSimDeps } from "../deps.ts";
import { apiVersion } from "../objects/call.ts";
import { invalidRequest, StripeSimError } from "../objects/errors.ts";
import { newId } from "../objects/ids.ts";
import { retrieveIntent } from "../payments/intents.ts";
import { type ApiAnswer, answerCall, errorBody, keepAnswersMs, keyInUse } from "./answer-call.ts";
import { readKeyHolder } from "./api-key.ts";
import { authenticatedPage, authenticatePage, returnAddress } from "./authenticate-page.ts";
import { readBody } from "./read-body.ts";
import { isForBrowsers } from "./routes.ts";

const earlyMsMax = 5_000;
const idempotencyKeyMax = 255;

/** Answers everything that comes in at the one port. */
export function createListener(deps: StripeSimDeps) {
  /** Keys whose first request is not answered yet. */
  const keysInUse = new Set<string>();
  let forgotMs = 0;

  return (request: IncomingMessage, response: ServerResponse): void => {
    const requestId = newId("req", 14);
    response.setHeader("sovr-stripe-simulator", "true");
    response.setHeader("request-id", requestId);
    response.setHeader("cache-control", "no-store");
    response.once("close", () => {
      const { method, url = "" } = request;
      // The query is left out: it may hold a client secret.
      const path = url.split("?", 1)[0];
      deps.logger.debug({ requestId, method, path, status: response.statusCode }, "answered");
    });
    answer(request, response, requestId).catch((error: unknown) => {
      fail(response, requestId, error);
    });
  };

  function fail(response: ServerResponse, requestId: string, error: unknown): void {
    if (response.destroyed) return;
    const known = error instanceof StripeSimError ? error : internal();
    if (known.status >= 500) deps.logger.error({ err: error, requestId }, "a request failed");
    // What is left of a body that was too large is not read.
    if (known.status === 413) response.setHeader("connection", "close");
    sendJson(response, known.status, JSON.stringify(errorBody(known.body, requestId), null, 2));
  }

  async function answer(request: IncomingMessage, response: ServerResponse, requestId: string) {
    const url = URL.parse(request.url ?? "/", "http://simulator");
    if (url === null) throw invalidRequest("Invalid request URL.");
    const { pathname: path, search } = url;
    if (path === "/healthz") return sendJson(response, 200, '{"service":"stripe-sim"}');
    if (path.startsWith("/_sim/")) {
      const result = await answerControl(deps.control, request, path);
      return sendJson(response, 200, JSON.stringify(result, null, 2));
    }
    if (path.startsWith("/authenticate/")) return answerBank(request, response, path, search);
    if (isForBrowsers(path)) allowOrigins(response);
    if (request.method === "OPTIONS" && isForBrowsers(path)) {
      response.writeHead(204).end();
      return;
    }
    await answerApi(request, response, { requestId, path, search });
  }

  async function answerApi(
    request: IncomingMessage,
    response: ServerResponse,
    { requestId, path, search }: { requestId: string; path: string; search: string },
  ): Promise<void> {
    const method = request.method ?? "";
    const body = await readBody(request);
    const form = new URLSearchParams(method === "POST" ? body : search);
    const parameter = form.get("key") ?? undefined;
    form.delete("key");
    const caller = readKeyHolder(request, parameter, deps.keys);
    response.setHeader("stripe-version", readVersion(request));
    const idempotencyKey = readIdempotencyKey(request, response);
    const fault = deps.faults.takeApiFault(method, path);
    if (fault === "cut_before") return void response.destroy();
    if (fault === "error_500") throw internal();
    if (method === "POST" && deps.isFull()) throw full();
    const inUse = `${caller.account} ${idempotencyKey}`;
    if (method === "POST" && idempotencyKey !== undefined) {
      if (keysInUse.has(inUse)) throw keyInUse(idempotencyKey);
      keysInUse.add(inUse);
    }
    try {
      forgetOldAnswers();
      const call = deps.newCall({
        baseUrl: baseUrlOf(request),
        browser: caller.browser,
        request: { id: requestId, idempotency_key: idempotencyKey ?? null },
      });
      const answer = answerCall(
        { requestId, method, path, form: form.toString(), caller, idempotencyKey },
        call,
      );
      await sendAnswer(response, answer, fault === "cut_after");
    } finally {
      keysInUse.delete(inUse);
    }
  }

  async function sendAnswer(
    response: ServerResponse,
    answer: ApiAnswer,
    isCut: boolean,
  ): Promise<void> {
    const { early, latency_ms: latencyMs } = deps.faults.settings;
    if (early) await deps.sender.deliverNow(answer.events, earlyMsMax);
    deps.wake();
    if (latencyMs > 0) await sleep(latencyMs, undefined, { ref: false });
    if (isCut) return void response.destroy();
    if (answer.replayOf !== undefined) {
      response.setHeader("idempotent-replayed", "true");
      response.setHeader("original-request", answer.replayOf);
    }
    sendJson(response, answer.status, answer.body);
  }

  /** Once a minute is enough. */
  function forgetOldAnswers(): void {
    const nowMs = deps.nowMs();
    if (nowMs - forgotMs < 60_000) return;
    forgotMs = nowMs;
    deps.store.forgetAnswers(nowMs - keepAnswersMs);
  }

  /** The bank's page: who has the client secret answers for the shopper. */
  async function answerBank(
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
    search: string,
  ): Promise<void> {
    const id = path.slice("/authenticate/".length);
    const query = new URLSearchParams(search);
    const call = deps.newCall({ browser: true });
    const clientSecret = query.get("client_secret") ?? "";
    const intent = retrieveIntent(call, id, { client_secret: clientSecret });
    if (request.method !== "POST") return sendPage(response, authenticatePage(intent));
    const form = new URLSearchParams(await readBody(request));
    const done = deps.control.authenticate(id, form.get("outcome") === "complete");
    const returnUrl = URL.parse(query.get("return_url") ?? "");
    if (returnUrl === null || !/^https?:$/.test(returnUrl.protocol)) {
      return sendPage(response, authenticatedPage(done));
    }
    response.writeHead(303, { location: returnAddress(returnUrl.href, done) }).end();
  }
}

function full(): StripeSimError {
  return new StripeSimError(503, {
    type: "api_error",
    message:
      "The simulator is full: too many objects, or too many webhooks that nobody takes. Begin with a new STRIPE_SIM_PATH, or look at the endpoint.",
  });
}

function internal(): StripeSimError {
  return new StripeSimError(500, {
    type: "api_error",
    message: "Sorry! There was an error while talking to the simulator. No effect was left.",
  });
}

/** Where who asks finds the simulator's pages. A proxy that has it below a path of its own, or behind TLS, says so. */
function baseUrlOf({ headers }: IncomingMessage): string {
  const prefix = String(headers["x-forwarded-prefix"] ?? "");
  const scheme = headers["x-forwarded-proto"] === "https" ? "https" : "http";
  return `${scheme}://${headers.host ?? "127.0.0.1"}${/^(\/[\w-]{1,50}){1,4}$/.test(prefix) ? prefix : ""}`;
}

function readVersion(request: IncomingMessage): string {
  const given = request.headers["stripe-version"];
  if (given === undefined) return apiVersion;
  if (typeof given === "string" && /^\d{4}-\d{2}-\d{2}(\.[a-z_]{1,30})?$/.test(given)) return given;
  throw invalidRequest("Invalid Stripe API version.");
}

function readIdempotencyKey(request: IncomingMessage, response: ServerResponse) {
  const key = request.headers["idempotency-key"];
  if (typeof key !== "string" || key === "") return undefined;
  if (key.length > idempotencyKeyMax) {
    throw invalidRequest(`Idempotency keys have at most ${idempotencyKeyMax} characters.`);
  }
  response.setHeader("idempotency-key", key);
  return key;
}

function allowOrigins(response: ServerResponse): void {
  response.setHeader("access-control-allow-origin", "*");
  response.setHeader("access-control-allow-methods", "GET, POST, OPTIONS");
  response.setHeader(
    "access-control-allow-headers",
    "authorization, content-type, idempotency-key, stripe-version",
  );
  response.setHeader("access-control-expose-headers", "request-id, sovr-stripe-simulator");
  response.setHeader("access-control-max-age", "300");
}

function sendJson(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(`${body}\n`);
}

function sendPage(response: ServerResponse, page: string): void {
  response.writeHead(200, {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
  });
  response.end(page);
}
