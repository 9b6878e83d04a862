/**
 * Goal: whatever Stripe answers becomes what the ports promise, and no secret of a payment or an account comes out of it.
 * Method: Stripe's own SDK against a server that answers as each test says, and remembers what it was asked.
 */
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import { inspect } from "node:util";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { StripeOutcome } from "./call.ts";
import { createStripe, type StripeGateway } from "./gateway.ts";

interface Asked {
  readonly call: string;
  readonly headers: IncomingHttpHeaders;
  readonly params: URLSearchParams;
}

interface Answer {
  readonly status?: number;
  readonly body: object | string;
  readonly headers?: Record<string, string>;
}

type Answers = (asked: Asked) => Answer | "cut" | "never";

const secretKey = "sk_test_thekeythatnobodysees";
const clientSecret = "pi_1_secret_thatonlytheshoppersees";
const intentId = "0192f0c1-0000-7000-8000-000000000001";
const entryId = "0192f0c1-0000-7000-8000-000000000002";

let server: Server;
let stripe: StripeGateway;
let answers: Answers;
let asked: Asked[];
let outcomes: [string, StripeOutcome][];

beforeAll(async () => {
  server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const url = new URL(request.url ?? "", "http://stripe");
    const params = new URLSearchParams([
      ...url.searchParams,
      ...new URLSearchParams(String(Buffer.concat(chunks))),
    ]);
    const call = { call: `${request.method} ${url.pathname}`, headers: request.headers, params };
    asked.push(call);
    const answer = answers(call);
    if (answer === "never") return;
    if (answer === "cut") return void request.socket.destroy();
    response.writeHead(answer.status ?? 200, { "request-id": "req_1", ...answer.headers });
    response.end(typeof answer.body === "string" ? answer.body : JSON.stringify(answer.body));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  stripe = createStripe(
    {
      secretKey,
      webhookSecrets: ["whsec_thenewone", "whsec_theoldone"],
      apiUrl: new URL(`http://127.0.0.1:${port}`),
    },
    { onCall: (operation, outcome) => outcomes.push([operation, outcome]) },
  );
});
afterAll(() => {
  stripe.close();
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  asked = [];
  outcomes = [];
});

const limit = () => ({ deadlineMs: Date.now() + 60_000 });

function payment(fields: object = {}) {
  return {
    id: "pi_1",
    object: "payment_intent",
    amount: 350,
    amount_received: 0,
    currency: "usd",
    status: "requires_payment_method",
    client_secret: clientSecret,
    metadata: { intent_id: intentId },
    last_payment_error: null,
    ...fields,
  };
}

function refund(fields: object = {}) {
  return {
    id: "re_1",
    object: "refund",
    amount: 100,
    currency: "usd",
    status: "succeeded",
    metadata: { intent_id: entryId },
    ...fields,
  };
}

function listOf(...data: object[]) {
  return { object: "list", data, has_more: false, url: "/v1/refunds" };
}

function refusal(status: number, error: object): Answer {
  const message = `about ${secretKey}`;
  return { status, body: { error: { message, payment_intent: payment(), ...error } } };
}

const order = {
  intentId,
  digest: `0x${"1".repeat(64)}`,
  amount: 350n,
  ledger: 1,
  merchantId: "shop",
  orderId: "A-17",
  wallet: "0x8ba1f109551bD432803012645Ac136ddd64DBA72",
};

/** The error that a call ends with. It must tell no secret, wherever it is printed. */
async function errorOf(call: Promise<unknown>): Promise<Error> {
  const error: unknown = await call.then(
    () => expect.unreachable("the call succeeds"),
    (thrown) => thrown,
  );
  const text = inspect(error, { depth: 20, showHidden: true });
  expect(text).not.toContain(secretKey);
  expect(text).not.toContain(clientSecret);
  if (!(error instanceof Error)) throw new Error("no Error was thrown");
  return error;
}

describe("a PaymentIntent", () => {
  it("is asked for by card, for the amount in cents, once for an intent", async () => {
    answers = () => ({ body: payment() });
    const created = await stripe.payments.create(order, limit());
    expect(created).toEqual({
      id: "pi_1",
      status: "requires_payment_method",
      amount: 350n,
      amountReceived: 0n,
      currency: "usd",
      intentId,
      clientSecret,
      failure: undefined,
    });
    const [{ call, headers, params } = expect.unreachable("nothing was asked")] = asked;
    expect(call).toBe("POST /v1/payment_intents");
    expect(headers["idempotency-key"]).toBe(intentId);
    expect(headers["x-stripe-client-telemetry"]).toBeUndefined();
    expect(Object.fromEntries(params)).toEqual({
      amount: "350",
      currency: "usd",
      "allowed_payment_method_types[0]": "card",
      capture_method: "automatic",
      "metadata[intent_id]": intentId,
      "metadata[digest]": order.digest,
      "metadata[merchant_id]": "shop",
      "metadata[order_id]": "A-17",
      "metadata[wallet]": order.wallet,
    });
    expect(outcomes).toEqual([["payment_intents.create", "answered"]]);
  });

  it("is read again when its answer is a replay, which tells how it was", async () => {
    answers = ({ call }) =>
      call.startsWith("POST")
        ? { body: payment(), headers: { "idempotent-replayed": "true" } }
        : { body: payment({ status: "succeeded", amount_received: 350 }) };
    expect(await stripe.payments.create(order, limit())).toMatchObject({ status: "succeeded" });
  });

  it("is not asked for in another asset, or for what Stripe cannot count", async () => {
    answers = () => ({ body: payment() });
    const call = (change: object) => stripe.payments.create({ ...order, ...change }, limit());
    for (const change of [{ ledger: 2 }, { amount: 0n }, { amount: -1n }, { amount: 2n ** 53n }]) {
      expect(await errorOf(call(change))).toBeInstanceOf(RangeError);
    }
    expect(asked).toEqual([]);
  });

  it.each([
    ["requires_payment_method", null, undefined],
    ["requires_action", null, { reason: "PAYMENT_ACTION_REQUIRED", declineCode: "" }],
    [
      "requires_payment_method",
      { code: "card_declined", decline_code: "insufficient_funds" },
      { reason: "PAYMENT_DECLINED", declineCode: "insufficient_funds" },
    ],
    [
      "requires_payment_method",
      { code: "expired_card" },
      { reason: "PAYMENT_DECLINED", declineCode: "expired_card" },
    ],
    [
      "requires_payment_method",
      { code: "authentication_required", decline_code: "authentication_required" },
      { reason: "PAYMENT_ACTION_REQUIRED", declineCode: "authentication_required" },
    ],
    ["succeeded", { code: "card_declined" }, undefined],
    ["canceled", { code: "card_declined" }, undefined],
  ])("that is %s after %j says what the shopper must hear", async (status, error, failure) => {
    answers = () => ({ body: payment({ status, last_payment_error: error }) });
    expect((await stripe.payments.read("pi_1", limit()))?.failure).toEqual(failure);
  });

  it("of somebody else names no intent of ours", async () => {
    for (const metadata of [{}, null, { intent_id: "17" }, { intent_id: intentId.toUpperCase() }]) {
      answers = () => ({ body: payment({ metadata }) });
      expect((await stripe.payments.read("pi_1", limit()))?.intentId).toBe("");
    }
  });

  it("that says what it cannot is not believed", async () => {
    for (const fields of [
      { status: "vanished" },
      { amount: 0.5 },
      { amount: -1 },
      { amount: 1e300 },
    ]) {
      answers = () => ({ body: payment(fields) });
      await errorOf(stripe.payments.read("pi_1", limit()));
    }
  });

  it("that does not exist is undefined to read", async () => {
    answers = () => refusal(404, { type: "invalid_request_error", code: "resource_missing" });
    expect(await stripe.payments.read("pi_none", limit())).toBeUndefined();
  });

  it("is cancelled, or told as it is when that is too late", async () => {
    answers = () => ({ body: payment({ status: "canceled" }) });
    expect(await stripe.payments.cancel("pi_1", limit())).toMatchObject({ status: "canceled" });
    answers = ({ call }) =>
      call.startsWith("POST")
        ? refusal(400, { type: "invalid_request_error", code: "payment_intent_unexpected_state" })
        : { body: payment({ status: "succeeded", amount_received: 350 }) };
    expect(await stripe.payments.cancel("pi_1", limit())).toMatchObject({ status: "succeeded" });
  });
});

describe("a refund", () => {
  const request = { paymentIntentId: "pi_1", entryId, amount: 100n };

  it("is made once for an entry, under a key of its own", async () => {
    answers = ({ call }) => ({ body: call.startsWith("GET") ? listOf() : refund() });
    expect(await stripe.payments.refund(request, limit())).toEqual({
      id: "re_1",
      status: "succeeded",
      amount: 100n,
      currency: "usd",
      entryId,
    });
    const made = asked.find(({ call }) => call === "POST /v1/refunds");
    expect(made?.headers["idempotency-key"]).toBe(`refund-${entryId}-100`);
    expect(Object.fromEntries(made?.params ?? [])).toEqual({
      payment_intent: "pi_1",
      amount: "100",
      "metadata[intent_id]": entryId,
    });
  });

  it("is found again when Stripe has long forgotten the key", async () => {
    answers = () => ({ body: listOf(refund({ id: "re_2", metadata: {} }), refund()) });
    expect(await stripe.payments.refund(request, limit())).toMatchObject({ id: "re_1" });
    expect(asked.map(({ call }) => call)).toEqual(["GET /v1/refunds"]);
  });

  it("that Stripe refuses for good is RefundRefused", async () => {
    for (const error of [
      { code: "charge_already_refunded" },
      { code: "charge_disputed" },
      { param: "amount" },
      {},
    ]) {
      answers = ({ call }) =>
        call.startsWith("GET")
          ? { body: listOf() }
          : refusal(400, { type: "invalid_request_error", ...error });
      expect(await errorOf(stripe.payments.refund(request, limit())), inspect(error)).toMatchObject(
        {
          name: "RefundRefused",
          paymentIntentId: "pi_1",
        },
      );
    }
  });

  it("that Stripe refuses for a fault of ours is not", async () => {
    for (const error of [
      { type: "invalid_request_error", code: "parameter_unknown" },
      { type: "invalid_request_error", code: "resource_missing" },
      { type: "idempotency_error" },
    ]) {
      answers = ({ call }) => (call.startsWith("GET") ? { body: listOf() } : refusal(400, error));
      expect(await errorOf(stripe.payments.refund(request, limit())), inspect(error)).toMatchObject(
        {
          name: "StripeRefusal",
        },
      );
    }
  });

  it("is listed with all others, oldest first, over several pages", async () => {
    answers = ({ params }) =>
      params.get("starting_after") === null
        ? { body: { ...listOf(refund({ id: "re_3" }), refund({ id: "re_2" })), has_more: true } }
        : { body: listOf(refund({ status: "failed", metadata: null })) };
    const refunds = await stripe.payments.refunds("pi_1", limit());
    expect(refunds.map(({ id }) => id)).toEqual(["re_1", "re_2", "re_3"]);
    expect(refunds[0]).toMatchObject({ status: "failed", entryId: "" });
    expect(asked.map(({ params }) => params.get("starting_after"))).toEqual([null, "re_2"]);
  });

  it("list that does not end is not followed for ever", async () => {
    answers = () => ({ body: { ...listOf(refund()), has_more: true } });
    await errorOf(stripe.payments.refunds("pi_1", limit()));
    expect(asked).toHaveLength(10);
  });
});

describe("a call that Stripe does not answer, or not now", () => {
  it.each<[string, Answer | "cut"]>([
    ["500", refusal(500, { type: "api_error" })],
    ["503 of a proxy", { status: 503, body: "<html>away</html>" }],
    ["200 that is not JSON", { body: "<html>hello</html>" }],
    ["429", refusal(429, { type: "invalid_request_error", code: "rate_limit" })],
    ["429 of a lock", refusal(429, { type: "invalid_request_error", code: "lock_timeout" })],
    ["409", refusal(409, { type: "idempotency_error", code: "idempotency_key_in_use" })],
    ["a connection that breaks", "cut"],
  ])("is PAYMENTS_UNAVAILABLE: %s", async (_name, answer) => {
    answers = () => answer;
    expect(await errorOf(stripe.payments.read("pi_1", limit()))).toMatchObject({
      kind: "PAYMENTS_UNAVAILABLE",
      retryAfterMs: 1_000,
    });
    expect(outcomes).toEqual([["payment_intents.retrieve", "unavailable"]]);
  });

  it("is PAYMENTS_UNAVAILABLE when its time is up, when it is aborted, and when neither began", async () => {
    answers = () => "never";
    const gone = { kind: "PAYMENTS_UNAVAILABLE" };
    const soon = { deadlineMs: Date.now() + 50 };
    expect(await errorOf(stripe.payments.read("pi_1", soon))).toMatchObject(gone);
    const abort = new AbortController();
    const aborted = stripe.payments.read("pi_1", { ...limit(), signal: abort.signal });
    abort.abort();
    expect(await errorOf(aborted)).toMatchObject(gone);
    expect(await errorOf(stripe.payments.read("pi_late", { deadlineMs: 0 }))).toMatchObject(gone);
    expect(asked.map(({ call }) => call)).not.toContain("GET /v1/payment_intents/pi_late");
  });

  it("is a fault of ours when the key is refused", async () => {
    answers = () => refusal(401, { type: "invalid_request_error" });
    const error = await errorOf(stripe.payments.read("pi_1", limit()));
    expect(error.message).toBe(
      "Stripe refuses payment_intents.retrieve: StripeAuthenticationError 401 req_1",
    );
    expect(outcomes).toEqual([["payment_intents.retrieve", "refused"]]);
  });
});

describe("events", () => {
  const event = {
    id: "evt_1",
    object: "event",
    type: "charge.refunded",
    created: 1_764_000_000,
    data: { object: { id: "ch_1", object: "charge", payment_intent: "pi_1" } },
  };

  it("are listed with the PaymentIntent that they concern", async () => {
    const other = { ...event, id: "evt_2", data: { object: payment() } };
    const expanded = {
      ...event,
      id: "evt_3",
      data: { object: refund({ payment_intent: payment() }) },
    };
    const none = { ...event, id: "evt_4", data: { object: refund({ payment_intent: null }) } };
    answers = () => ({ body: { ...listOf(event, other, expanded, none), has_more: true } });
    const request = { sinceMs: 1_764_000_000_999, types: ["charge.refunded"], after: "evt_0" };
    const page = await stripe.events.list(request, limit());
    expect(page.next).toBe("evt_4");
    expect(page.events.map(({ paymentIntentId }) => paymentIntentId)).toEqual([
      "pi_1",
      "pi_1",
      "pi_1",
      "",
    ]);
    expect(page.events[0]).toEqual({
      eventId: "evt_1",
      type: "charge.refunded",
      paymentIntentId: "pi_1",
      createTimeMs: 1_764_000_000_000,
    });
    expect(Object.fromEntries(asked[0]?.params ?? [])).toEqual({
      "created[gte]": "1764000000",
      "types[0]": "charge.refunded",
      limit: "100",
      starting_after: "evt_0",
    });
  });

  const nowMs = 1_764_000_500_000;
  const now = nowMs / 1_000;
  const body = JSON.stringify(event, null, 2);
  const verify = (header: string, text = body) =>
    stripe.verifyWebhook(Buffer.from(text), header, nowMs);
  const sign = (secret: string, time = now, text = body) =>
    `t=${time},v1=${createHmac("sha256", secret).update(`${time}.${text}`).digest("hex")}`;

  it("are believed when any of the secrets has signed them", () => {
    for (const secret of ["whsec_thenewone", "whsec_theoldone"]) {
      expect(verify(sign(secret)).event?.eventId).toBe("evt_1");
    }
    const [, second] = sign("whsec_theoldone").split(",");
    expect(verify(`${sign("whsec_another")},${second}`).event?.eventId).toBe("evt_1");
  });

  it("are refused when none has, or when they are not as they were signed", () => {
    const good = sign("whsec_thenewone");
    for (const [header, text] of [
      [sign("whsec_nobodys")],
      [good, body.replace("pi_1", "pi_2")],
      [good, JSON.stringify(event)],
      [good, ""],
      [good.replace(`t=${now}`, `t=${now + 1}`)],
      [good.replace("v1=", "v0=")],
      [`t=${now}`],
      ["v1=00"],
      ["t=,v1="],
      [`t=${now},v1=`],
      [`${good},v1=`],
      [good.toUpperCase().replace("T=", "t=").replace("V1=", "v1=")],
      ["nonsense"],
    ] as const) {
      expect(verify(header, text), `${header} ${text}`).toEqual({ refusal: "SIGNATURE_INVALID" });
    }
    expect(verify("")).toEqual({ refusal: "SIGNATURE_MISSING" });
  });

  it("are refused beyond 300 seconds on both sides, and not before", () => {
    for (const seconds of [-300, 0, 300]) {
      expect(verify(sign("whsec_thenewone", now + seconds)).event, `${seconds}`).toBeDefined();
    }
    for (const seconds of [-86_400, -301, 301, 86_400]) {
      expect(verify(sign("whsec_thenewone", now + seconds)), `${seconds}`).toEqual({
        refusal: "OUTSIDE_WINDOW",
      });
    }
  });

  it("that are old do not pass under a second, newer time", () => {
    const old = sign("whsec_thenewone", now - 1_000);
    for (const header of [`t=${now},${old}`, `${old},t=${now}`]) {
      expect(verify(header), header).toEqual({ refusal: "SIGNATURE_INVALID" });
    }
  });

  it("are refused when what was signed is no event", () => {
    for (const text of [
      "not JSON",
      "null",
      "[]",
      JSON.stringify({ ...event, id: "evt 1" }),
      JSON.stringify({ ...event, type: 7 }),
      JSON.stringify({ ...event, type: "x".repeat(129) }),
      JSON.stringify({ ...event, created: "now" }),
      JSON.stringify({ ...event, created: -1 }),
    ]) {
      expect(verify(sign("whsec_thenewone", now, text), text), text).toEqual({
        refusal: "BODY_INVALID",
      });
    }
  });
});
