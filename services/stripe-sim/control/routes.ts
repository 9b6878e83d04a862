import type { IncomingMessage } from "node:http";
import { readBody } from "../http/read-body.ts";
import { invalidRequest, StripeSimError } from "../objects/errors.ts";
import type { Control } from "./commands.ts";
import { type ApiFault, type ApiFaultKind, type FaultSettings, noFaults } from "./faults.ts";

type Json = Readonly<Record<string, unknown>>;

/** Whether a request comes from this machine; commands are taken from nowhere else. */
export function isLoopback(request: IncomingMessage): boolean {
  return /^(127\.|::1$|::ffff:127\.)/.test(request.socket.remoteAddress ?? "");
}

/** Whether this machine was called by a name of its own: one who is not may be a page that has its name lead here. */
function hasOwnName({ headers }: IncomingMessage): boolean {
  return /^(127\.\d+\.\d+\.\d+|localhost|\[::1\])(:\d+)?$/i.test(headers.host ?? "");
}

/** Answers a command below /_sim/: JSON for JSON. Throws StripeSimError. */
export async function answerControl(
  control: Control,
  request: IncomingMessage,
  path: string,
): Promise<object> {
  if (!isLoopback(request)) throw refuse(403, "Commands are taken from this machine alone.");
  // A page in a browser on this machine is not this machine, nor is one whose own name leads here.
  if (request.headers.origin !== undefined || !hasOwnName(request)) {
    throw refuse(403, "Commands are not for browsers.");
  }
  const command = `${request.method} ${path.slice("/_sim/".length)}`;
  if (command === "GET state") return control.state();
  if (request.method !== "POST" && request.method !== "PATCH" && request.method !== "DELETE") {
    throw refuse(404, `There is no command ${command}`);
  }
  const body = request.method === "DELETE" ? {} : await readJson(request);
  return perform(control, command, body);
}

function refuse(status: number, message: string): StripeSimError {
  return new StripeSimError(status, { type: "invalid_request_error", message });
}

function perform(control: Control, command: string, body: Json): object | Promise<object> {
  switch (command) {
    case "PATCH faults":
      control.setFaults(readSettings(body));
      return control.state();
    case "DELETE faults":
      control.clearFaults();
      return control.state();
    case "POST seed":
      control.seed(numberOf(body, "seed", 0, 2 ** 32 - 1, undefined));
      return control.state();
    case "POST fail-calls":
      control.failCalls(readApiFault(body));
      return control.state();
    case "POST idle":
      return control
        .idle(numberOf(body, "timeout_ms", 0, 600_000, 10_000))
        .then((idle) => ({ idle }));
    case "POST forge": {
      const forgery = wordOf(body, "forgery", ["wrong_secret", "old_timestamp"], "wrong_secret");
      control.forge(textOf(body, "object"), forgery);
      return {};
    }
    case "POST resend":
      control.resend(textOf(body, "event"));
      return {};
    case "POST fail-refund":
      return control.failRefund(
        textOf(body, "refund"),
        textOf(body, "reason", "lost_or_stolen_card"),
      );
    case "POST succeed-refund":
      return control.succeedRefund(textOf(body, "refund"));
    case "POST authenticate":
      return control.authenticate(textOf(body, "payment_intent"), flagOf(body, "passed"));
    default:
      throw refuse(404, `There is no command ${command}`);
  }
}

async function readJson(request: IncomingMessage): Promise<Json> {
  const text = await readBody(request);
  try {
    const value: unknown = JSON.parse(text === "" ? "{}" : text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Json;
  } catch {
    // said below
  }
  throw invalidRequest("The body must be a JSON object.");
}

const rates = ["delay_rate", "drop_rate", "forge_rate"];
const maxima: Readonly<Record<string, number>> = { duplicates: 20 };
const refundFates = ["card", "pending", "pending_then_fail", "fail"] as const;

function readSettings(body: Json): Partial<FaultSettings> {
  const settings: Record<string, unknown> = {};
  for (const name of Object.keys(body)) {
    const fallback = (noFaults as unknown as Json)[name];
    if (!Object.hasOwn(noFaults, name)) throw invalidRequest(`There is no setting ${name}.`);
    if (typeof fallback === "boolean") settings[name] = flagOf(body, name);
    else if (name === "refunds") settings[name] = wordOf(body, name, refundFates);
    else if (rates.includes(name)) settings[name] = numberOf(body, name, 0, 1, undefined, false);
    else settings[name] = numberOf(body, name, 0, maxima[name] ?? 86_400_000);
  }
  return settings as Partial<FaultSettings>;
}

function readApiFault(body: Json): ApiFault {
  const kinds: readonly ApiFaultKind[] = ["error_500", "cut_before", "cut_after"];
  return {
    kind: wordOf(body, "kind", kinds),
    times: numberOf(body, "times", 1, 1_000_000, 1),
    rate: numberOf(body, "rate", 0, 1, 1, false),
    method: textOf(body, "method", ""),
    path: textOf(body, "path", "/v1/"),
  };
}

function textOf(body: Json, name: string, fallback?: string): string {
  const value = body[name] ?? fallback;
  if (typeof value !== "string" || value.length > 500) throw invalidRequest(`${name}: a text`);
  return value;
}

function flagOf(body: Json, name: string): boolean {
  const value = body[name];
  if (typeof value !== "boolean") throw invalidRequest(`${name}: true or false`);
  return value;
}

function wordOf<Word extends string>(
  body: Json,
  name: string,
  words: readonly Word[],
  fallback?: Word,
): Word {
  const value = body[name] ?? fallback;
  const word = words.find((candidate) => candidate === value);
  if (word === undefined) throw invalidRequest(`${name}: one of ${words.join(", ")}`);
  return word;
}

function numberOf(
  body: Json,
  name: string,
  min: number,
  max: number,
  fallback?: number,
  whole = true,
): number {
  const value = body[name] ?? fallback;
  const isNumber = typeof value === "number" && (!whole || Number.isSafeInteger(value));
  if (!isNumber || !(value >= min && value <= max)) {
    throw invalidRequest(`${name}: a number from ${min} to ${max}`);
  }
  return value;
}
