import type { ConnectError } from "@connectrpc/connect";
import { DomainError } from "#common/domain-error.ts";
import { toConnectError } from "#common/rpc/errors.ts";
import { edgeLimits } from "./edge-limits.ts";

/** Something that makes Envoy answer by itself. */
export interface EdgeSituation {
  /** How Envoy knows it: a filter of its access logs. */
  readonly when: Readonly<Record<string, unknown>>;
  readonly error: ConnectError;
  /** The HTTP status for Connect where its table of codes has another one. */
  readonly connectStatus?: number;
}

/**
 * All of them, in the order in which Envoy asks: the response flags say it best, the status says it where there is no
 * flag, and from 400 on nothing is left over. envoy/README.md has the table of what was seen.
 */
export function edgeSituations(): readonly EdgeSituation[] {
  return [
    // Before the overflow: UO beside one of these is that of the retries, of a service that nobody reached.
    { when: flags("UF", "UC", "UH", "UR", "LR", "UPE", "NC"), error: unavailable() },
    { when: flags("UO"), error: tooManyCalls() },
    { when: allOf(flags("RL"), without("authorization")), error: tooOften("anonymousOfAddress") },
    { when: flags("RL"), error: tooOften("callsOfWallet") },
    { when: anyOf(flags("UT", "SI"), status("EQ", 408), status("EQ", 504)), error: timeout() },
    { when: anyOf(status("EQ", 502), status("EQ", 503)), error: unavailable() },
    // Connect's table reads 404 as unimplemented, and so does everybody who knows HTTP alone.
    { when: anyOf(flags("NR"), status("EQ", 404)), error: methodNotFound(), connectStatus: 404 },
    { when: status("EQ", 413), error: bodyTooLarge() },
    { when: status("EQ", 429), error: tooOften("anonymousOfAddress") },
    { when: status("EQ", 431), error: headersTooLarge() },
    { when: status("GE", 500), error: ourFault() },
    { when: status("GE", 400), error: malformed() },
  ];
}

function flags(...names: string[]) {
  return { response_flag_filter: { flags: names } };
}

function status(op: "EQ" | "GE", value: number) {
  // Envoy asks for the name of a runtime setting that could change the number. Nobody sets it.
  const comparison = { op, value: { default_value: value, runtime_key: `edge_reply.${value}` } };
  return { status_code_filter: { comparison } };
}

function without(header: string) {
  return { header_filter: { header: { name: header, present_match: true, invert_match: true } } };
}

function allOf(...filters: object[]) {
  return { and_filter: { filters } };
}

function anyOf(...filters: object[]) {
  return { or_filter: { filters } };
}

function unavailable(): ConnectError {
  return toConnectError(
    new DomainError(
      "EDGE_UNAVAILABLE",
      "The service does not answer the edge; send the same request again to learn its outcome.",
    ),
  );
}

function timeout(): ConnectError {
  return toConnectError(
    new DomainError(
      "EDGE_TIMEOUT",
      "The service did not answer the edge in time; send the same request again to learn its outcome.",
    ),
  );
}

function methodNotFound(): ConnectError {
  return toConnectError(new DomainError("METHOD_NOT_FOUND", "The edge knows no such method."));
}

function limitExceeded(limit: number, what: string): ConnectError {
  const message = `The edge takes no more than ${limit} ${what}.`;
  const metadata = { limit: String(limit), what };
  return toConnectError(new DomainError("LIMIT_EXCEEDED", message, { metadata }));
}

function tooManyCalls(): ConnectError {
  return limitExceeded(edgeLimits.callsAtOnce, "calls of one service at once");
}

function bodyTooLarge(): ConnectError {
  return limitExceeded(edgeLimits.webhookBytes, "bytes of a message");
}

function headersTooLarge(): ConnectError {
  const { headersKib, headersCount } = edgeLimits;
  return limitExceeded(headersKib * 1_024, `bytes of headers, and ${headersCount} of them`);
}

function tooOften(limited: "anonymousOfAddress" | "callsOfWallet"): ConnectError {
  const limit = String(edgeLimits[limited].perSecond);
  const what = rateLimited[limited];
  return toConnectError(
    new DomainError("RATE_LIMITED", `At most ${limit} ${what}.`, { metadata: { limit, what } }),
  );
}

/** What is counted, in words that follow a number. */
const rateLimited = {
  anonymousOfAddress: "calls in a second without a token from one address",
  callsOfWallet: "calls in a second of one wallet",
} as const;

function malformed(): ConnectError {
  const description = "The edge cannot read the request's headers or path.";
  const field = "";
  const rule = "http";
  return toConnectError(
    new DomainError("INVALID_FIELD", description, {
      metadata: { field, rule },
      violations: [{ field, rule, description }],
    }),
  );
}

function ourFault(): ConnectError {
  return toConnectError(
    new DomainError("INTERNAL", "Something went wrong at the edge; its log says what."),
  );
}
