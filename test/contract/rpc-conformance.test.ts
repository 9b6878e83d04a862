/**
 * Goal: both mounts of a service are one service. Method: the same calls over every protocol, with one expected answer
 * each: code, reason, metadata, field violations and retry hint. The services are small and made for this test.
 */
import {
  create,
  type DescMessage,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import { BytesValueSchema, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { DomainError } from "#common/domain-error.ts";
import { createLogger } from "#common/process/logger.ts";
import { principalKey, requirePrincipal } from "#common/rpc/access/principal.ts";
import { reasonOf, toConnectError, toStatus } from "#common/rpc/errors.ts";
import { type BatchHandler, mountOf } from "#common/rpc/mount.ts";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "#gen/google/rpc/error_details_pb.ts";
import { Phase } from "#gen/sovr/attestor/v1/intent_pb.ts";
import {
  ClearBatchRequestSchema,
  ClearBatchResponseSchema,
  ClearingService,
  ClearRequestSchema,
  ClearResultSchema,
} from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import {
  EventStreamService,
  ListEventsRequestSchema,
} from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import {
  LedgerService,
  ListTransfersRequestSchema,
} from "#gen/sovr/ledger/v1/ledger_service_pb.ts";
import {
  compressedProtocolsOf,
  type Fixture,
  mountTwice,
  type Protocol,
  protocolsOf,
} from "../support/rpc/fixture.ts";
import { createTokenIssuer, type TokenIssuer } from "../support/rpc/token-issuer.ts";

// Messages of many megabytes, several times each: on a busy machine they take their time.
vi.setConfig({ testTimeout: 60_000 });

const protocolNames = [
  "grpc-js",
  "connect-node gRPC",
  "gRPC-Web",
  "gRPC-Web text",
  "Connect binary",
  "Connect JSON",
  "Connect GET",
] as const;

/** How a call ended, in what must not depend on the protocol. */
interface Outcome {
  readonly code: string;
  readonly reason?: string | undefined;
  readonly metadata?: Record<string, string>;
  readonly violations?: readonly string[];
  readonly retryAfterMs?: number;
}

const ok: Outcome = { code: "OK" };

function outcomeOf(error: unknown): Outcome {
  if (!(error instanceof ConnectError)) throw error;
  const infos = error.findDetails(ErrorInfoSchema);
  expect(infos.map((info) => info.domain)).toEqual(["sovr"]);
  const violations = error
    .findDetails(BadRequestSchema)
    .flatMap((bad) =>
      bad.fieldViolations.map((violation) => `${violation.field} ${violation.reason}`),
    );
  const [retry] = error.findDetails(RetryInfoSchema);
  const delay = retry?.retryDelay;
  return {
    code: Code[error.code],
    reason: reasonOf(error),
    metadata: infos[0]?.metadata ?? {},
    ...(violations.length > 0 ? { violations } : {}),
    ...(delay === undefined
      ? {}
      : { retryAfterMs: Number(delay.seconds) * 1_000 + delay.nanos / 1e6 }),
  };
}

const secret = "postgres://sovr:hunter2@db/records";
const logged: string[] = [];
const streamsLeft: string[] = [];
let walletsBegun = 0;

/** Waits until the call is aborted, and then fails as any driver would. */
function hang(ctx: HandlerContext): Promise<never> {
  return new Promise((_resolve, reject) => {
    ctx.signal.addEventListener("abort", () => reject(new Error("connection closed")));
  });
}

const notImplemented = (): never => {
  throw new Error("not part of this test");
};

const ledger: ServiceImpl<typeof LedgerService> = {
  async getBalance(request, ctx) {
    if (request.accountId === "404") {
      throw new DomainError("ACCOUNT_NOT_FOUND", "Ünknown account “404”.", {
        metadata: { accountId: "404" },
      });
    }
    return { balance: { accountId: request.accountId, posted: requirePrincipal(ctx).subject } };
  },
  listAssets: (_request, ctx) => hang(ctx),
  listAccounts() {
    throw new DomainError("LEDGER_UNAVAILABLE", "The ledger does not answer.", {
      retryAfterMs: 250,
    });
  },
  getTrialBalance: async () => {
    throw new Error(`cannot connect to ${secret}`);
  },
  getTransfer: async () => {
    throw DomainError.received("NO_SUCH_KIND" as never, "no reason of the contract", {
      metadata: {},
    });
  },
  /** Tells what its context holds, in an answer's headers, its trailers and itself. */
  getAccount(_request, ctx) {
    const left = ctx.timeoutMs();
    ctx.responseHeader.set("x-asked", ctx.requestHeader.get("x-request-id") ?? "");
    ctx.responseTrailer.set("x-in-time", String(left !== undefined && left > 0));
    const { subject } = ctx.values.get(principalKey) ?? {};
    return { account: { name: `${ctx.service.typeName} ${ctx.method.name} ${subject}` } };
  },
  batchGetBalances: notImplemented,
  listTransfers: async () => ({}),
  getJournalEntry: notImplemented,
  listJournalEntries: notImplemented,
  getStatement: notImplemented,
};

const clearing: Omit<ServiceImpl<typeof ClearingService>, "clearBatch"> = {
  clear: async () => ({ clearing: { replayed: true } }),
  getClearing: notImplemented,
  openWallet(_request, ctx) {
    walletsBegun += 1;
    return hang(ctx);
  },
};

const clearBatch: BatchHandler = async (bytes) => {
  const { requests } = fromBinary(ClearBatchRequestSchema, bytes);
  const value = toStatus(toConnectError(new DomainError("DRAINING", "call again")));
  const results = requests.map(() =>
    create(ClearResultSchema, { outcome: { case: "error", value } }),
  );
  return Buffer.from(
    toBinary(ClearBatchResponseSchema, create(ClearBatchResponseSchema, { results })),
  );
};

const events: ServiceImpl<typeof EventStreamService> = {
  async *subscribe(request, ctx) {
    const start = request.start.case === "cursor" ? request.start.value : "";
    if (start === "refused")
      throw new DomainError("ACCOUNT_NOT_FOUND", "no", { metadata: { accountId: "1" } });
    try {
      yield { cursor: "1", prevCursor: "0" };
      yield { cursor: "2", prevCursor: "1" };
      if (start === "broken")
        throw new DomainError("SLOW_CONSUMER", "slow", { metadata: { cursor: "2" } });
      if (start === "fault") throw new Error(secret);
      if (start === "endless") await hang(ctx);
    } finally {
      streamsLeft.push(start);
    }
  },
  listEvents: notImplemented,
  watchBalances: notImplemented,
};

const mounts = [
  mountOf(LedgerService, ledger),
  mountOf(ClearingService, clearing, { clearBatch }),
  mountOf(EventStreamService, events),
];
const scopes = "ledger.read clearing.write wallet.open events.read";

let issuer: TokenIssuer;
let foreignIssuer: TokenIssuer;
let fixture: Fixture;
let drained: Fixture;
let hasty: Fixture;
const live = new Map<string, Protocol>();
const leaving = new Map<string, Protocol>();
/** To services that give a call without a deadline next to no time. */
const hurried = new Map<string, Protocol>();

beforeAll(async () => {
  issuer = await createTokenIssuer();
  foreignIssuer = await createTokenIssuer();
  const destination = {
    write: (line: string) => logged.push(line),
  } as unknown as NodeJS.WritableStream;
  const logger = createLogger("test", "info", { format: "json", destination });
  const { jwksPath } = issuer;
  fixture = await mountTwice({ mounts, jwksPath, logger, unaryTimeoutMs: 60_000 });
  hasty = await mountTwice({ mounts, jwksPath, logger, unaryTimeoutMs: 150 });
  drained = await mountTwice({ mounts, jwksPath, drainSignal: AbortSignal.abort() });
  for (const protocol of protocolsOf(fixture)) live.set(protocol.name, protocol);
  for (const protocol of protocolsOf(drained)) leaving.set(protocol.name, protocol);
  for (const protocol of protocolsOf(hasty)) hurried.set(protocol.name, protocol);
});

afterAll(async () => {
  for (const protocols of [live, leaving, hurried]) {
    for (const protocol of protocols.values()) protocol[Symbol.dispose]();
  }
  await fixture.close();
  await hasty.close();
  await drained.close();
  issuer[Symbol.dispose]();
  foreignIssuer[Symbol.dispose]();
});

function transportOf(name: string, protocols = live) {
  const protocol = protocols.get(name);
  if (protocol === undefined) throw new Error(`no protocol ${name}`);
  return protocol.transport;
}

async function bearer(token?: string): Promise<Record<string, string>> {
  return {
    authorization: `Bearer ${token ?? (await issuer.token({ scope: scopes, subject: "alice" }))}`,
  };
}

interface Call {
  readonly header?: Record<string, string>;
  readonly protocols?: Map<string, Protocol>;
}

/** Calls a unary method and tells how it ended, and what came. */
async function unary<I extends DescMessage, O extends DescMessage>(
  name: string,
  method: DescMethodUnary<I, O>,
  input: MessageInitShape<I>,
  call: Call = {},
) {
  try {
    const header = call.header ?? (await bearer());
    const transport = transportOf(name, call.protocols);
    const response = await transport.unary(method, undefined, undefined, header, input);
    return { outcome: ok, message: response.message, response };
  } catch (error) {
    return { outcome: outcomeOf(error), message: undefined, response: undefined, error };
  }
}

async function* once<T>(value: T): AsyncGenerator<T> {
  yield value;
}

/** Reads a stream to its end, or `limit` messages of it. */
async function stream<I extends DescMessage, O extends DescMessage>(
  name: string,
  method: DescMethodServerStreaming<I, O>,
  input: MessageInitShape<I>,
  call: Call & { readonly limit?: number } = {},
) {
  const messages: unknown[] = [];
  const leave = new AbortController();
  try {
    const header = call.header ?? (await bearer());
    const transport = transportOf(name, call.protocols);
    const response = await transport.stream(method, leave.signal, undefined, header, once(input));
    for await (const message of response.message) {
      messages.push(message);
      if (messages.length === call.limit) leave.abort();
    }
    return { outcome: ok, count: messages.length };
  } catch (error) {
    if (leave.signal.aborted) return { outcome: ok, count: messages.length };
    return { outcome: outcomeOf(error), count: messages.length };
  }
}

const { getAccount, getBalance, listAssets, listAccounts, listTransfers } = LedgerService.method;
const { getTrialBalance, getTransfer } = LedgerService.method;
const { clear, openWallet } = ClearingService.method;
const { subscribe } = EventStreamService.method;

/** The header in which a protocol carries a deadline; set by hand, so that it is the server that answers. */
function timeoutHeader(name: string, ms = 250): Record<string, string> {
  return name.startsWith("Connect ")
    ? { "connect-timeout-ms": `${ms}` }
    : { "grpc-timeout": `${ms}m` };
}

function clearRequest(amount: string) {
  const nowMs = Math.floor(Date.now() / 1_000) * 1_000;
  return create(ClearRequestSchema, {
    intent: {
      intentId: "0198c0de-0000-7000-8000-000000000001",
      phase: Phase.IMMEDIATE,
      wallet: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
      postings: [
        { debitAccountId: "1", creditAccountId: "2", amount: "1", ledger: 1, code: 2 },
        { debitAccountId: "1", creditAccountId: "2", amount, ledger: 1, code: 2 },
      ],
      issueTime: timestampFromMs(nowMs),
      expireTime: timestampFromMs(nowMs + 60_000),
    },
    attestation: {
      digest: `0x${"ab".repeat(32)}`,
      signature: `0x${"ab".repeat(65)}`,
      signer: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
    },
  });
}

const invalidField = (field: string, rule: string, reason: string): Outcome => ({
  code: "InvalidArgument",
  reason: "INVALID_FIELD",
  metadata: { field, rule },
  violations: [`${field} ${reason}`],
});

const isJson = (name: string) => name === "Connect JSON" || name === "Connect GET";

const credentialsInvalid = (rule: string): Outcome => ({
  code: "Unauthenticated",
  reason: "CREDENTIALS_INVALID",
  metadata: { rule },
});

describe.each(protocolNames)("%s", (name) => {
  it("answers a unary call, and the handler knows the caller", async () => {
    const { outcome, message } = await unary(name, getBalance, { accountId: "7" });
    expect(outcome).toEqual(ok);
    expect(message?.balance).toMatchObject({ accountId: "7", posted: "alice" });
  });

  it("answers a domain error with code, reason, metadata and the exact message", async () => {
    const { outcome, error } = await unary(name, getBalance, { accountId: "404" });
    expect(outcome).toEqual({
      code: "NotFound",
      reason: "ACCOUNT_NOT_FOUND",
      metadata: { accountId: "404" },
    });
    expect(ConnectError.from(error).rawMessage).toBe("Ünknown account “404”.");
  });

  it("adds a retry hint to UNAVAILABLE", async () => {
    const { outcome } = await unary(name, listAccounts, {});
    expect(outcome).toEqual({
      code: "Unavailable",
      reason: "LEDGER_UNAVAILABLE",
      metadata: {},
      retryAfterMs: 250,
    });
  });

  it("refuses a bad field and names it", async () => {
    const { outcome } = await unary(name, getBalance, { accountId: "-1" });
    expect(outcome).toEqual(invalidField("account_id", "string.pattern", "STRING_PATTERN"));
  });

  it("names a field in a list by its path", async () => {
    const { outcome } = await unary(name, clear, clearRequest("3.5"));
    expect(outcome).toEqual(
      invalidField("intent.postings[1].amount", "string.pattern", "STRING_PATTERN"),
    );
  });

  it("refuses fields that do not go together, and names the rule of the whole request", async () => {
    const { outcome } = await unary(name, getBalance, { accountId: "1", ledger: 1 });
    expect(outcome).toEqual(invalidField("", "account.selector", "ACCOUNT_SELECTOR"));
  });

  it("lists every violation, and the first in the metadata", async () => {
    const { outcome } = await unary(name, getBalance, { accountId: "x", wallet: "y" });
    expect(outcome.metadata).toEqual({ field: "account_id", rule: "string.pattern" });
    expect(outcome.violations).toEqual([
      "account_id STRING_PATTERN",
      "wallet STRING_PATTERN",
      " ACCOUNT_SELECTOR",
    ]);
  });

  it("bounds the violations, as peers refuse long trailers", async () => {
    const accountIds = Array.from({ length: 300 }, () => "bad");
    const { outcome } = await unary(name, LedgerService.method.batchGetBalances, { accountIds });
    expect(outcome.metadata).toEqual({ field: "account_ids[0]", rule: "string.pattern" });
    expect(outcome.violations).toHaveLength(20);
  });

  it("refuses a message that does not decode", async () => {
    const garbled = { ...getBalance, input: BytesValueSchema };
    const { outcome } = await unary(name, garbled, { value: new Uint8Array([0xff, 0xfe]) });
    // To JSON, bytes are a text: no object and no field.
    expect(outcome).toEqual(invalidField(isJson(name) ? "" : "account_id", "decode", "DECODE"));
  });

  it("refuses a field that it does not know, of calls and of streams", async () => {
    const wider = { ...getBalance, input: ListTransfersRequestSchema };
    const { outcome } = await unary(name, wider, { accountId: "7", pageToken: "x" });
    const unknown = (field: string) => invalidField(field, "field.unknown", "FIELD_UNKNOWN");
    expect(outcome).toEqual(unknown(isJson(name) ? "pageToken" : "6"));
    const older = { ...subscribe, input: ListEventsRequestSchema };
    const { outcome: ofStream } = await stream(name, older, { pageSize: 1 });
    expect(ofStream).toEqual(unknown(isJson(name) ? "pageSize" : "6"));
  });

  it("hides the cause of a fault and logs it under the id that the caller gets", async () => {
    const { outcome, error } = await unary(name, getTrialBalance, { ledger: 1 });
    expect(outcome).toEqual({ code: "Internal", reason: "INTERNAL", metadata: {} });
    const { rawMessage } = ConnectError.from(error);
    expect(rawMessage).not.toContain("hunter2");
    const id = /under (\S+)\.$/.exec(rawMessage)?.[1] ?? "no id";
    expect(
      logged.filter((line) => line.includes(id) && line.includes("cannot connect")),
    ).toHaveLength(1);
  });

  it("answers an error of an unknown kind as INTERNAL", async () => {
    const { outcome } = await unary(name, getTransfer, { transferId: "1" });
    expect(outcome).toEqual({ code: "Internal", reason: "INTERNAL", metadata: {} });
  });

  it("refuses a call without credentials, before its body counts", async () => {
    const missing = { code: "Unauthenticated", reason: "CREDENTIALS_MISSING", metadata: {} };
    expect((await unary(name, getBalance, { accountId: "7" }, { header: {} })).outcome).toEqual(
      missing,
    );
    expect((await unary(name, getBalance, { accountId: "-1" }, { header: {} })).outcome).toEqual(
      missing,
    );
    expect((await stream(name, subscribe, {}, { header: {} })).outcome).toEqual(missing);
  });

  it("refuses a token without the scope", async () => {
    const header = await bearer(await issuer.token({ scope: "events.read" }));
    expect((await unary(name, getBalance, { accountId: "7" }, { header })).outcome).toEqual({
      code: "PermissionDenied",
      reason: "SCOPE_MISSING",
      metadata: { scope: "ledger.read" },
    });
  });

  it("refuses tokens that are expired, foreign, for others, or none", async () => {
    const expired = await issuer.token({ scope: scopes, expiresInSeconds: -120 });
    const foreign = await foreignIssuer.token({ scope: scopes });
    const other = await issuer.token({ scope: scopes, audience: "else" });
    const cases = [
      [expired, "exp"],
      [foreign, "signature"],
      [other, "aud"],
      ["abc", "malformed"],
    ] as const;
    for (const [token, rule] of cases) {
      const { outcome } = await unary(
        name,
        getBalance,
        { accountId: "7" },
        { header: await bearer(token) },
      );
      expect(outcome).toEqual(credentialsInvalid(rule));
    }
    const basic = { authorization: "Basic dTpw" };
    expect((await unary(name, getBalance, { accountId: "7" }, { header: basic })).outcome).toEqual(
      credentialsInvalid("scheme"),
    );
  });

  it("refuses an unknown method", async () => {
    const method = "/sovr.ledger.v1.LedgerService/Nope";
    const unknown = { code: "Unimplemented", reason: "METHOD_NOT_FOUND", metadata: { method } };
    expect((await unary(name, { ...getBalance, name: "Nope" }, {})).outcome).toEqual(unknown);
    const streaming = { ...subscribe, parent: LedgerService, name: "Nope" };
    expect((await stream(name, streaming, {})).outcome).toEqual(unknown);
  });

  it("refuses a message over the method's limit, and takes a larger one where the limit is larger", async () => {
    const pageToken = "x".repeat(2 << 20);
    // A GET carries its message in the URL, whose length HTTP limits first.
    if (name !== "Connect GET") {
      expect((await unary(name, listTransfers, { pageToken })).outcome).toEqual({
        code: "ResourceExhausted",
        reason: "LIMIT_EXCEEDED",
        metadata: { limit: "1048576", what: "bytes of a message" },
        retryAfterMs: 1_000,
      });
    }
    const requests = Array.from({ length: 6_000 }, () => clearRequest("1"));
    expect((await unary(name, ClearingService.method.clearBatch, { requests })).outcome).toEqual(
      ok,
    );
  });

  it("answers a deadline honestly: nothing happened to a read, a write that began may have happened", async () => {
    const header = { ...(await bearer()), ...timeoutHeader(name) };
    expect((await unary(name, listAssets, {}, { header })).outcome).toEqual({
      code: "DeadlineExceeded",
      reason: "NOT_SENT",
      metadata: {},
    });
    const input = { wallet: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8", ledger: 1 };
    const before = walletsBegun;
    expect((await unary(name, openWallet, input, { header })).outcome).toEqual({
      code: "DeadlineExceeded",
      // It begins in time, unless the machine stands still between its headers and its body.
      reason: walletsBegun > before ? "OUTCOME_UNKNOWN" : "NOT_SENT",
      metadata: {},
    });
  });

  it("gives a call without a deadline one", async () => {
    const { outcome } = await unary(name, listAssets, {}, { protocols: hurried });
    expect(outcome).toEqual({ code: "DeadlineExceeded", reason: "NOT_SENT", metadata: {} });
  });

  it.each([
    ["has a deadline", 60_000],
    ["has none", undefined],
  ])("gives a handler its whole context where the caller %s", async (_what, timeoutMs) => {
    const header: Record<string, string> = { ...(await bearer()), "x-request-id": "r-1" };
    if (timeoutMs !== undefined) Object.assign(header, timeoutHeader(name, timeoutMs));
    const { outcome, response } = await unary(name, getAccount, { accountId: "1" }, { header });
    expect(outcome).toEqual(ok);
    expect(response?.message).toMatchObject({
      account: { name: "sovr.ledger.v1.LedgerService GetAccount alice" },
    });
    expect(response?.header.get("x-asked")).toBe("r-1");
    expect(response?.trailer.get("x-in-time")).toBe("true");
  });

  it("refuses calls while draining", async () => {
    const draining = { code: "Unavailable", reason: "DRAINING", metadata: {}, retryAfterMs: 1_000 };
    const call = { protocols: leaving };
    expect((await unary(name, getBalance, { accountId: "7" }, call)).outcome).toEqual(draining);
    expect((await stream(name, subscribe, {}, call)).outcome).toEqual(draining);
  });

  it("streams, and ends a stream with OK", async () => {
    expect(await stream(name, subscribe, {})).toEqual({ outcome: ok, count: 2 });
  });

  it("refuses a stream before its first message", async () => {
    const start = { case: "cursor", value: "refused" } as const;
    expect(await stream(name, subscribe, { start })).toEqual({
      outcome: { code: "NotFound", reason: "ACCOUNT_NOT_FOUND", metadata: { accountId: "1" } },
      count: 0,
    });
    expect(await stream(name, subscribe, { start: { case: "earliest", value: false } })).toEqual({
      outcome: invalidField("earliest", "bool.const", "BOOL_CONST"),
      count: 0,
    });
  });

  it("ends a stream with an error after its messages", async () => {
    expect(await stream(name, subscribe, { start: { case: "cursor", value: "broken" } })).toEqual({
      outcome: {
        code: "ResourceExhausted",
        reason: "SLOW_CONSUMER",
        metadata: { cursor: "2" },
        retryAfterMs: 1_000,
      },
      count: 2,
    });
    expect(await stream(name, subscribe, { start: { case: "cursor", value: "fault" } })).toEqual({
      outcome: { code: "Internal", reason: "INTERNAL", metadata: {} },
      count: 2,
    });
  });

  it("lets the handler clean up when the caller leaves", async () => {
    streamsLeft.length = 0;
    const start = { case: "cursor", value: "endless" } as const;
    await stream(name, subscribe, { start }, { limit: 2 });
    await expect.poll(() => streamsLeft).toEqual(["endless"]);
  });

  it("honours a stream's deadline", async () => {
    const header = { ...(await bearer()), ...timeoutHeader(name) };
    const start = { case: "cursor", value: "endless" } as const;
    // How many messages come before it is the machine's to say.
    expect((await stream(name, subscribe, { start }, { header })).outcome).toEqual({
      code: "DeadlineExceeded",
      reason: "NOT_SENT",
      metadata: {},
    });
  });
});

describe("compressed messages", () => {
  it("are read, and count by the size that they unpack to", async () => {
    const protocols = new Map(compressedProtocolsOf(fixture).map((each) => [each.name, each]));
    for (const [name, protocol] of protocols) {
      expect(
        (await unary(name, getBalance, { accountId: "7" }, { protocols })).outcome,
        name,
      ).toEqual(ok);
      const pageToken = "x".repeat(2 << 20);
      expect(
        (await unary(name, listTransfers, { pageToken }, { protocols })).outcome,
        name,
      ).toMatchObject({
        reason: "LIMIT_EXCEEDED",
        metadata: { limit: "1048576" },
      });
      const bomb = "x".repeat(20 << 20);
      expect(
        (await unary(name, listTransfers, { pageToken: bomb }, { protocols })).outcome,
        name,
      ).toMatchObject({
        reason: "LIMIT_EXCEEDED",
      });
      protocol[Symbol.dispose]();
    }
  });
});

describe("plain JSON over HTTP", () => {
  it("answers curl without any protocol header", async () => {
    const url = `http://127.0.0.1:${fixture.connectPort}/sovr.ledger.v1.LedgerService/GetBalance`;
    const headers = { ...(await bearer()), "content-type": "application/json" };
    const good = await fetch(url, { method: "POST", headers, body: '{"accountId":"7"}' });
    expect(good.status).toBe(200);
    expect(await good.json()).toEqual({ balance: { accountId: "7", posted: "alice" } });
    const bad = await fetch(url, { method: "POST", headers, body: '{"accountId":7}' });
    expect(bad.status).toBe(400);
    expect(await bad.json()).toMatchObject({
      code: "invalid_argument",
      details: [
        {
          type: "google.rpc.ErrorInfo",
          debug: { metadata: { field: "account_id", rule: "decode" } },
        },
        {},
      ],
    });
  });

  it.each(["message", "encoding", "base64", "compression", "connect"])(
    "refuses a GET with two of %s, once it is known who asks",
    async (name) => {
      const url = new URL(
        `http://127.0.0.1:${fixture.connectPort}/sovr.ledger.v1.LedgerService/GetBalance`,
      );
      const all = { connect: "v1", encoding: "json", message: '{"accountId":"7"}' };
      for (const [key, value] of Object.entries(all)) url.searchParams.append(key, value);
      const headers = await bearer();
      expect((await fetch(url, { headers })).status).toBe(200);
      for (const value of ['{"accountId":"8"}', "json", "v1"]) {
        const twice = new URL(url);
        if (!twice.searchParams.has(name)) twice.searchParams.append(name, value);
        twice.searchParams.append(name, value);
        const refused = await fetch(twice, { headers });
        expect(refused.status, value).toBe(400);
        const rule = "parameter.duplicate";
        expect(await refused.json(), value).toMatchObject({
          code: "invalid_argument",
          details: [{ debug: { reason: "INVALID_FIELD", metadata: { rule } } }, {}],
        });
        expect((await fetch(twice)).status, value).toBe(401);
      }
    },
  );

  it("writes the errors that stand inside an answer", async () => {
    const url = `http://127.0.0.1:${fixture.connectPort}/sovr.clearing.v1.ClearingService/ClearBatch`;
    const headers = { ...(await bearer()), "content-type": "application/json" };
    const answer = await fetch(url, { method: "POST", headers, body: '{"requests":[{}]}' });
    const detail = { "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "DRAINING" };
    expect(await answer.json()).toMatchObject({ results: [{ error: { details: [detail, {}] } }] });
  });
});
