import type { IncomingMessage } from "node:http";
import { DomainError } from "#common/domain-error.ts";
import type { HttpRoute } from "#common/process/http-routes.ts";
import type { WebhookInbox } from "./inbox.ts";
import type { VerifiedWebhook, WebhookRefusal } from "./ports.ts";
import { isHandled } from "./process-event.ts";

/**
 * What a delivery came to: STORED or KNOWN from before; UNHANDLED, a type that concerns no checkout; refused; or, to be
 * sent again, UNAVAILABLE. METHOD, TOO_LARGE and CUT are no webhooks at all.
 */
export type DeliveryOutcome =
  | "STORED"
  | "KNOWN"
  | "UNHANDLED"
  | "UNAVAILABLE"
  | "METHOD"
  | "TOO_LARGE"
  | "CUT"
  | WebhookRefusal;

export interface WebhookRouteOptions {
  readonly verify: (body: Buffer, header: string, nowMs: number) => VerifiedWebhook;
  readonly inbox: WebhookInbox;
  /** Called when an event was stored. */
  readonly wake: () => void;
  /** Hears of every delivery; the type is "" unless its signature was right. */
  readonly onDelivery: (outcome: DeliveryOutcome, type: string) => void;
  /** Epoch milliseconds. */
  readonly nowMs: () => number;
}

/** Stripe's largest events are some tens of kilobytes. */
export const webhookBytesMax = 262_144;

interface Answer {
  readonly status: number;
  readonly body: object;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * POST /webhooks/stripe: checks the signature over the bytes as they came, stores the event and answers. Stripe waits for
 * nothing else, and sends again what was not answered 2xx.
 */
export function createWebhookRoute(options: WebhookRouteOptions): HttpRoute {
  return async (request, response) => {
    const { outcome, type, answer } = await receive(options, request);
    options.onDelivery(outcome, type);
    // The rest of a body that is too large is not waited for.
    if (!request.complete) response.shouldKeepAlive = false;
    response.writeHead(answer.status, { "content-type": "application/json", ...answer.headers });
    response.end(`${JSON.stringify(answer.body)}\n`);
  };
}

interface Received {
  readonly outcome: DeliveryOutcome;
  readonly type: string;
  readonly answer: Answer;
}

async function receive(
  { verify, inbox, wake, nowMs }: WebhookRouteOptions,
  request: IncomingMessage,
): Promise<Received> {
  if (request.method !== "POST") return refused("METHOD", 405, { allow: "POST" });
  const body = await readBody(request);
  if (typeof body === "string") return refused(body, body === "TOO_LARGE" ? 413 : 400);
  const header = request.headers["stripe-signature"];
  const verified = verify(body, typeof header === "string" ? header : "", nowMs());
  if (verified.refusal !== undefined) return refused(verified.refusal, 400);
  const { event } = verified;
  if (!isHandled(event.type)) return accepted("UNHANDLED", event.type);
  try {
    const isNew = await inbox(event);
    if (isNew) wake();
    return accepted(isNew ? "STORED" : "KNOWN", event.type);
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    return { ...refused("UNAVAILABLE", 503, { "retry-after": "1" }), type: event.type };
  }
}

function accepted(outcome: DeliveryOutcome, type: string): Received {
  return { outcome, type, answer: { status: 200, body: { received: true } } };
}

function refused(
  outcome: DeliveryOutcome,
  status: number,
  headers: Readonly<Record<string, string>> = {},
): Received {
  return { outcome, type: "", answer: { status, body: { error: outcome.toLowerCase() }, headers } };
}

async function readBody(request: IncomingMessage): Promise<Buffer | "TOO_LARGE" | "CUT"> {
  if (Number(request.headers["content-length"] ?? 0) > webhookBytesMax) return "TOO_LARGE";
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    // What is left of a refused body must not cut the connection before the answer is out.
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      bytes += chunk.byteLength;
      if (bytes > webhookBytesMax) return "TOO_LARGE";
      chunks.push(chunk);
    }
  } catch {
    // Whoever sent it has gone; there is nobody to answer.
    return "CUT";
  }
  return Buffer.concat(chunks, bytes);
}
