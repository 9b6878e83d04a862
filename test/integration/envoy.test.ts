import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { promisify } from "node:util";
import {
  Code,
  ConnectError,
  createClient,
  type Interceptor,
  type Transport,
} from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { Wallet } from "ethers";
import { decodeJwt } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatIntent } from "#common/intent/codec.ts";
import { newUuidV7 } from "#common/uuid.ts";
import { BadRequestSchema, ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { AttestorService } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import { PaymentMethod } from "#gen/sovr/checkout/v1/checkout_pb.ts";
import { CheckoutService } from "#gen/sovr/checkout/v1/checkout_service_pb.ts";
import { ClearingService } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { EventStreamService } from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { LedgerService } from "#gen/sovr/ledger/v1/ledger_service_pb.ts";
import { requireEnvoy } from "../../cli/bring/envoy.ts";
import { fundingIntent } from "../../cli/client/intents.ts";
import { findProgram } from "../../cli/command/run-program.ts";
import { keyFiles } from "../../cli/state/keys.ts";
import { startMesh, type TestMesh } from "../support/mesh/mesh.ts";

const services = [
  AttestorService,
  CheckoutService,
  ClearingService,
  EventStreamService,
  LedgerService,
];
const run = promisify(execFile);
const grpcurl = findProgram("grpcurl");
const usd = 1;

let mesh: TestMesh;
let token: string;

beforeAll(async () => {
  mesh = await startMesh({ environment: { EDGE_LOG_SUCCESS_PERCENT: "0" } });
  token = await mesh.token();
});
afterAll(() => mesh?.stop());

/** The protocols that pass through Envoy, and which port of a service answers them. */
const protocols = {
  gRPC: {
    port: "grpc",
    open: (url: string, more: More) => createGrpcTransport({ baseUrl: url, ...more }),
  },
  "gRPC-Web": {
    port: "connect",
    open: (url: string, more: More) =>
      createGrpcWebTransport({ baseUrl: url, httpVersion: "1.1", ...more }),
  },
  "Connect, binary": {
    port: "connect",
    open: (url: string, more: More) =>
      createConnectTransport({ baseUrl: url, httpVersion: "1.1", useBinaryFormat: true, ...more }),
  },
  "Connect, JSON": {
    port: "connect",
    open: (url: string, more: More) =>
      createConnectTransport({ baseUrl: url, httpVersion: "1.1", useBinaryFormat: false, ...more }),
  },
  "Connect, GET": {
    port: "connect",
    open: (url: string, more: More) =>
      createConnectTransport({ baseUrl: url, httpVersion: "1.1", useHttpGet: true, ...more }),
  },
} as const;
type Protocol = keyof typeof protocols;
const names = Object.keys(protocols) as Protocol[];

interface More {
  readonly interceptors: Interceptor[];
}

function authorizedBy(authorization: string | undefined): More {
  const authorize: Interceptor = (next) => (call) => {
    if (authorization !== undefined) call.header.set("authorization", authorization);
    return next(call);
  };
  return { interceptors: [authorize] };
}

function throughEnvoy(protocol: Protocol, more = authorizedBy(`Bearer ${token}`)): Transport {
  return protocols[protocol].open(`http://${mesh.address}`, more);
}

async function errorOf(call: Promise<unknown>): Promise<ConnectError> {
  try {
    await call;
  } catch (error) {
    if (error instanceof ConnectError) return error;
    throw error;
  }
  throw new Error("the call succeeded");
}

/** What a caller learns from an error, without the text for people. */
function answer(error: ConnectError) {
  const info = error.findDetails(ErrorInfoSchema).map(({ reason, domain, metadata }) => ({
    reason,
    domain,
    metadata,
  }));
  return { code: Code[error.code], info };
}

describe.each(names)("%s through Envoy", (protocol) => {
  it("reads", async () => {
    const { assets } = await createClient(LedgerService, throughEnvoy(protocol)).listAssets({});
    expect(assets.map((asset) => asset.ledger)).toEqual([1, 2, 3]);
  });

  it("gets an error with its details", async () => {
    const client = createClient(LedgerService, throughEnvoy(protocol));
    const wallet = `0x${"ab".repeat(20)}`;
    const unknown = await errorOf(client.getBalance({ wallet, ledger: usd }));
    expect(answer(unknown)).toMatchObject({
      code: "NotFound",
      info: [{ reason: "ACCOUNT_NOT_FOUND", domain: "sovr" }],
    });
    const malformed = await errorOf(client.getBalance({ accountId: "-1" }));
    expect(answer(malformed)).toMatchObject({
      code: "InvalidArgument",
      info: [{ reason: "INVALID_FIELD", domain: "sovr" }],
    });
    const [violations] = malformed.findDetails(BadRequestSchema);
    expect(violations?.fieldViolations.map(({ field }) => field)).toEqual(["account_id"]);
  });

  it("streams, and the first message comes at once", async () => {
    const client = createClient(EventStreamService, throughEnvoy(protocol));
    const stop = new AbortController();
    const messages = client.subscribe({}, { signal: stop.signal })[Symbol.asyncIterator]();
    const first = await messages.next();
    expect(first.value?.message.case).toBe("opened");
    stop.abort();
    await messages.next().catch(() => undefined);
  });

  it("streams a checkout, whose first message comes at once", async () => {
    const client = createClient(CheckoutService, throughEnvoy(protocol));
    const intentId = newUuidV7();
    await client.createCheckout({
      intentId,
      wallet: Wallet.createRandom().address,
      merchantId: "envoy",
      orderId: intentId,
      items: [{ sku: "MILK", quantity: 1 }],
      paymentMethod: PaymentMethod.BALANCE,
    });
    const stop = new AbortController();
    const key = { case: "intentId", value: intentId } as const;
    const messages = client.watchCheckout({ key }, { signal: stop.signal })[Symbol.asyncIterator]();
    const first = await messages.next();
    expect(first.value?.checkout?.intentId).toBe(intentId);
    stop.abort();
    await messages.next().catch(() => undefined);
  });

  it("gets the error of a stream with its details", async () => {
    const client = createClient(EventStreamService, throughEnvoy(protocol));
    const stream = client.subscribe({ start: { case: "cursor", value: "garbled" } });
    const error = await errorOf(Array.fromAsync(stream));
    expect(answer(error)).toMatchObject({
      code: "InvalidArgument",
      info: [{ reason: "CURSOR_INVALID", domain: "sovr" }],
    });
  });

  it.each([
    ["no token", () => undefined, "CREDENTIALS_MISSING"],
    ["another scheme", () => "Basic bWU6bWU=", "CREDENTIALS_INVALID"],
    ["no JWT", () => "Bearer nonsense", "CREDENTIALS_INVALID"],
    ["a forged signature", () => `Bearer ${token.slice(0, -6)}AAAAAA`, "CREDENTIALS_INVALID"],
  ])("answers %s as the service does", async (_, authorization, reason) => {
    const { port, open } = protocols[protocol];
    const more = authorizedBy(authorization());
    const edge = throughEnvoy(protocol, more);
    const ledger = open(`http://${mesh.services.ledger[port]}`, more);
    const eventstream = open(`http://${mesh.services.eventstream[port]}`, more);

    const read = (transport: Transport) =>
      errorOf(createClient(LedgerService, transport).listAssets({}));
    const unary = answer(await read(edge));
    expect(unary).toMatchObject({ code: "Unauthenticated", info: [{ reason }] });
    expect(unary).toEqual(answer(await read(ledger)));

    const subscribe = (transport: Transport) =>
      errorOf(Array.fromAsync(createClient(EventStreamService, transport).subscribe({})));
    const streamed = answer(await subscribe(edge));
    expect(streamed).toMatchObject({ code: "Unauthenticated", info: [{ reason }] });
    expect(streamed).toEqual(answer(await subscribe(eventstream)));
  });

  it("is refused a scope that its token lacks", async () => {
    const narrow = await mesh.token({ scopes: ["ledger.read"] });
    const client = createClient(
      ClearingService,
      throughEnvoy(protocol, authorizedBy(`Bearer ${narrow}`)),
    );
    const error = await errorOf(client.openWallet({ wallet: `0x${"ab".repeat(20)}`, ledger: usd }));
    expect(answer(error)).toMatchObject({
      code: "PermissionDenied",
      info: [{ reason: "SCOPE_MISSING" }],
    });
  });

  it("carries a batch larger than Envoy's buffers to Clearing", async () => {
    const client = createClient(ClearingService, throughEnvoy(protocol));
    const filler = { intent: { merchantId: "m".repeat(128) }, attestation: {} };
    // 8190 requests of some 140 bytes: one more than a batch may hold, which only Clearing knows.
    const error = await errorOf(client.clearBatch({ requests: Array(8_190).fill(filler) }));
    expect(answer(error)).toMatchObject({
      code: "InvalidArgument",
      info: [{ reason: "INVALID_FIELD" }],
    });
  });
});

describe("curl through Envoy", () => {
  const post = (path: string, body: object, headers: Record<string, string> = {}) =>
    fetch(`http://${mesh.address}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });

  it("reads JSON with nothing but a token", async () => {
    const response = await post(
      "/sovr.ledger.v1.LedgerService/ListAssets",
      {},
      {
        authorization: `Bearer ${token}`,
      },
    );
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ assets: [{ ledger: 1, code: "USD" }, {}, {}] });
  });

  it("gets 401 with code and reason without one", async () => {
    const response = await post("/sovr.ledger.v1.LedgerService/ListAssets", {});
    expect(response.status).toBe(401);
    const body = (await response.json()) as { code: string; details: { type: string }[] };
    expect(body.code).toBe("unauthenticated");
    expect(body.details.map(({ type }) => type)).toEqual(["google.rpc.ErrorInfo"]);
  });

  it("finds nothing but the services and Studio", async () => {
    for (const path of [
      "/index.html",
      "/assets/none.js",
      "/metrics",
      "/sovr.ledger.v1.Ledger/ListAssets",
      "/readyz",
    ]) {
      expect((await post(path, {})).status).toBe(404);
    }
  });

  it("finds Studio at /, its policy as Studio sent it, without a token", async () => {
    const response = await fetch(`http://${mesh.address}/?anything`);
    const page = await response.text();
    const nonce = /nonce="([^"]+)"/.exec(page)?.[1];
    expect(response.headers.get("content-security-policy")).toContain(`'nonce-${nonce}'`);
    const script = /src="(\/assets\/[^"]+\.js)"/.exec(page)?.[1];
    const { status, headers } = await fetch(`http://${mesh.address}${script}`, { method: "HEAD" });
    expect([status, headers.get("cache-control")]).toEqual([
      200,
      "public, max-age=31536000, immutable",
    ]);
  });

  type DevAnswer = Readonly<Record<"nonce" | "message" | "token", string>> & {
    readonly expiresAtMs: number;
  };

  it("gives a wallet's token to its holder, and test money, in development", async () => {
    const dev = async (path: string, body: object, token = "") => {
      const response = await fetch(`http://${mesh.address}/dev/${path}`, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
        body: JSON.stringify(body),
      });
      return [response.status, (await response.json()) as DevAnswer] as const;
    };
    const wallet = new Wallet(`0x${"37".repeat(32)}`);
    const [, { nonce, message }] = await dev("challenge", { wallet: wallet.address.toLowerCase() });
    const [, { token, expiresAtMs }] = await dev("token", {
      nonce,
      signature: await wallet.signMessage(message),
    });
    expect(expiresAtMs - Date.now()).toBeLessThanOrEqual(900_000);
    const claims = decodeJwt(token);
    expect(claims["wallet"]).toBe(wallet.address);
    expect(claims["scope"]).toBe(
      "ledger.read events.read attest clearing.write wallet.open checkout.buy",
    );
    expect((claims.exp ?? 0) - (claims.iat ?? 0)).toBeLessThanOrEqual(900);
    expect(await dev("faucet", { amount: "1234" }, token)).toMatchObject([200, {}]);
    expect(await dev("faucet", { amount: "10001" }, token)).toMatchObject([
      400,
      { reason: "INVALID_FIELD" },
    ]);
    const transport = throughEnvoy("Connect, JSON", authorizedBy(`Bearer ${token}`));
    const { balance } = await createClient(LedgerService, transport).getBalance({
      wallet: wallet.address,
      ledger: 1,
    });
    expect(balance?.available).toBe("1234");
    // A wallet's session is no house: it cannot have its own funding attested.
    const intent = formatIntent(fundingIntent(1n, wallet.address));
    await expect(createClient(AttestorService, transport).attest({ intent })).rejects.toMatchObject(
      {
        code: Code.PermissionDenied,
      },
    );
  });
});

describe("Stripe's webhooks through Envoy", () => {
  const call = (method: string, path: string, more: RequestInit = {}) =>
    fetch(`http://${mesh.address}${path}`, { method, ...more });

  it("reach Checkout without a token, which refuses what Stripe has not signed", async () => {
    const body = '{"id": "evt_1", "object": "event", "type": "payment_intent.succeeded"}';
    for (const signature of ["", `t=${Math.floor(Date.now() / 1_000)},v1=${"0".repeat(64)}`]) {
      const response = await call("POST", "/webhooks/stripe", {
        body,
        headers: { "content-type": "application/json", "stripe-signature": signature },
      });
      expect(response.status).toBe(400);
      // Checkout's own answer, not Envoy's.
      expect(response.headers.get("content-type")).toMatch(/^application\/json/);
    }
  });

  it("are posted, and no larger than an event", async () => {
    expect((await call("GET", "/webhooks/stripe")).status).toBe(405);
    const body = "x".repeat(300_000);
    expect((await call("POST", "/webhooks/stripe", { body })).status).toBe(413);
  });

  it("are the only way to Checkout without a token", async () => {
    for (const path of [
      "/webhooks",
      "/webhooks/stripe/",
      "/webhooks/stripe/x",
      "/webhooks/stripes",
      "/webhooks/Stripe",
    ]) {
      expect([path, (await call("POST", path)).status]).toEqual([path, 404]);
    }
    for (const method of ["ListProducts", "ListCheckouts", "ReplayWebhookEvent"]) {
      const response = await call("POST", `/sovr.checkout.v1.CheckoutService/${method}`, {
        body: "{}",
        headers: { "content-type": "application/json" },
      });
      expect([method, response.status]).toEqual([method, 401]);
    }
  });

  it("come from the simulator, signed as Checkout expects", async () => {
    const { id } = await createPaymentIntent({ confirm: "true", payment_method: "pm_card_visa" });
    await expect
      .poll(async () => {
        const checkout = createClient(CheckoutService, throughEnvoy("gRPC"));
        const { events } = await checkout.listWebhookEvents({});
        return events.map(({ paymentIntentId }) => paymentIntentId);
      })
      .toContain(id);
  });
});

/** At the simulator itself, with the secret key of this mesh. */
async function createPaymentIntent(more: Readonly<Record<string, string>> = {}) {
  const { stripe } = keyFiles(mesh.settings);
  const response = await fetch(
    `http://${mesh.settings.host}:${mesh.settings.ports.stripeSim}/v1/payment_intents`,
    {
      method: "POST",
      headers: { authorization: `Bearer ${readFileSync(stripe.secretKey, "utf8")}` },
      body: new URLSearchParams({
        amount: "350",
        currency: "usd",
        "automatic_payment_methods[enabled]": "true",
        "automatic_payment_methods[allow_redirects]": "never",
        ...more,
      }),
    },
  );
  return (await response.json()) as { readonly id: string; readonly client_secret: string };
}

describe("the simulator of Stripe through Envoy", () => {
  const call = (method: string, path: string, form?: Record<string, string>) =>
    fetch(`http://${mesh.address}/stripe-sim${path}`, {
      method,
      redirect: "manual",
      headers: {
        authorization: `Bearer ${readFileSync(keyFiles(mesh.settings).stripe.publishableKey, "utf8")}`,
      },
      ...(form === undefined ? {} : { body: new URLSearchParams(form) }),
    });
  interface Paid {
    readonly id: string;
    readonly status: string;
    readonly next_action: { readonly redirect_to_url: { readonly url: string } } | null;
  }

  it("lets a browser pay with a card that its bank asks about", async () => {
    const { id, client_secret } = await createPaymentIntent();
    const method = await call("POST", "/v1/payment_methods", {
      type: "card",
      "card[number]": "4000002500003155",
      "card[exp_month]": "12",
      "card[exp_year]": String(new Date().getFullYear() + 1),
      "card[cvc]": "123",
    });
    expect(method.headers.get("sovr-stripe-simulator")).toBe("true");
    const { id: payment_method } = (await method.json()) as Paid;
    const confirmed = (await (
      await call("POST", `/v1/payment_intents/${id}/confirm`, {
        client_secret,
        payment_method,
        return_url: `http://${mesh.address}/`,
      })
    ).json()) as Paid;
    expect(confirmed.status).toBe("requires_action");
    const bank = confirmed.next_action?.redirect_to_url.url ?? "";
    expect(bank).toMatch(new RegExp(`^http://${mesh.address}/stripe-sim/authenticate/${id}\\?`));
    expect(await (await fetch(bank)).text()).toContain("Simulated bank");
    const answered = await fetch(bank, {
      method: "POST",
      redirect: "manual",
      body: new URLSearchParams({ outcome: "complete" }),
    });
    expect(answered.status).toBe(303);
    const query = new URLSearchParams({ client_secret });
    const paid = await call("GET", `/v1/payment_intents/${id}?${query}`);
    expect(await paid.json()).toMatchObject({ id, status: "succeeded" });
  });

  it.each([
    ["GET", "/healthz"],
    ["GET", "/_sim/state"],
    ["GET", "/v1/payment_methods"],
    ["POST", "/v1/payment_intents"],
    ["GET", "/v1/payment_intents"],
    ["POST", "/v1/payment_intents/pi_1"],
    ["POST", "/v1/payment_intents/pi_1/cancel"],
    ["GET", "/v1/payment_intents/pi_1/confirm"],
    ["POST", "/v1/refunds"],
    ["GET", "/v1/events"],
    ["POST", "/v1/payment_methods/../refunds"],
    ["DELETE", "/v1/payment_methods"],
  ])("has nothing more for a browser: %s %s", async (method, path) => {
    const response = await call(method, path);
    expect(response.status).toBe(404);
    expect(response.headers.get("sovr-stripe-simulator")).toBeNull();
  });
});

it("lets no secret key through to the simulator of Stripe, not even its own", async () => {
  const { id, client_secret } = await createPaymentIntent();
  const path = `/stripe-sim/v1/payment_intents/${id}?${new URLSearchParams({ client_secret })}`;
  const own = readFileSync(keyFiles(mesh.settings).stripe.secretKey, "utf8");
  const basic = `Basic ${Buffer.from(`${own}:`).toString("base64")}`;
  for (const authorization of [
    `Bearer ${own}`,
    basic,
    "Bearer sk_test_other",
    "Bearer rk_test_a",
  ]) {
    const response = await fetch(`http://${mesh.address}${path}`, { headers: { authorization } });
    expect(response.status).toBe(404);
    expect(response.headers.get("sovr-stripe-simulator")).toBeNull();
  }
});

describe("browsers", () => {
  const preflight = (origin: string) =>
    new Promise<Record<string, unknown>>((resolve, reject) => {
      const [host = "", port] = mesh.address.split(":");
      const call = request(
        {
          host,
          port,
          method: "OPTIONS",
          path: "/sovr.eventstream.v1.EventStreamService/Subscribe",
          headers: {
            origin,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,connect-protocol-version,content-type",
          },
        },
        (response) => {
          response.resume();
          resolve({ status: response.statusCode, ...response.headers });
        },
      );
      call.once("error", reject);
      call.end();
    });

  it("may call from Studio's origin, preflight without a token", async () => {
    const answered = await preflight("http://localhost:5206");
    expect(answered).toMatchObject({
      status: 200,
      "access-control-allow-origin": "http://localhost:5206",
      "access-control-allow-methods": "GET, POST",
    });
    for (const header of [
      "authorization",
      "connect-protocol-version",
      "x-grpc-web",
      "grpc-timeout",
    ]) {
      expect(answered["access-control-allow-headers"]).toContain(header);
    }
    const read = await fetch(`http://${mesh.address}/sovr.ledger.v1.LedgerService/ListAssets`, {
      method: "POST",
      headers: {
        origin: "http://localhost:5206",
        authorization: `Bearer ${token}`,
        "content-type": "application/json",
      },
      body: "{}",
    });
    expect(read.headers.get("access-control-allow-origin")).toBe("http://localhost:5206");
    expect(read.headers.get("access-control-expose-headers")).toContain("grpc-status-details-bin");
  });

  it("may not from anywhere else", async () => {
    const answered = await preflight("http://localhost.attacker.example");
    expect(answered["access-control-allow-origin"]).toBeUndefined();
  });
});

describe.skipIf(grpcurl === undefined)("grpcurl through Envoy (needs grpcurl)", () => {
  const call = async (...words: string[]) => {
    const headers = ["-plaintext", "-H", `authorization: Bearer ${token}`];
    const { stdout } = await run(grpcurl ?? "", [...headers, ...words], { timeout: 20_000 });
    return stdout;
  };

  it("lists and describes every service with nothing but reflection and a token", async () => {
    const listed = (await call(mesh.address, "list")).trim().split("\n");
    expect(listed).toEqual(
      expect.arrayContaining([
        "grpc.health.v1.Health",
        "sovr.attestor.v1.AttestorService",
        "sovr.checkout.v1.CheckoutService",
        "sovr.clearing.v1.ClearingService",
        "sovr.eventstream.v1.EventStreamService",
        "sovr.ledger.v1.LedgerService",
      ]),
    );
    for (const service of listed.filter((name) => name.startsWith("sovr."))) {
      expect(await call(mesh.address, "describe", service)).toMatch(/is a service:/);
    }
  });

  it("finds every service at each of them, for the edge asks any one", async () => {
    const own = services.map(({ typeName }) => typeName);
    for (const { grpc } of Object.values(mesh.services)) {
      const listed = (await call(grpc, "list")).trim().split("\n");
      expect(listed.filter((name) => name.startsWith("sovr."))).toEqual(own);
    }
  });

  it("sells: lists what there is, and starts a checkout", async () => {
    const service = "sovr.checkout.v1.CheckoutService";
    const listed = JSON.parse(await call(mesh.address, `${service}/ListProducts`));
    expect(listed.products.map(({ sku }: { sku: string }) => sku)).toEqual([
      "MILK",
      "EGGS",
      "BREAD",
      "BUNDLE",
    ]);
    const intentId = newUuidV7();
    const order = {
      intent_id: intentId,
      wallet: Wallet.createRandom().address,
      merchant_id: "grpcurl",
      order_id: intentId,
      items: [{ sku: "BUNDLE", quantity: 1 }],
      payment_method: "PAYMENT_METHOD_CARD",
    };
    const created = await call(
      "-d",
      JSON.stringify(order),
      mesh.address,
      `${service}/CreateCheckout`,
    );
    expect(JSON.parse(created)).toMatchObject({
      checkout: { intentId, amount: "750", state: "CHECKOUT_STATE_AWAITING_PAYMENT" },
      clientSecret: expect.stringMatching(/^pi_\w+_secret_\w+$/),
    });
  });

  it("reads a balance", async () => {
    const read = await call(
      "-d",
      '{"account_id": "1000002"}',
      mesh.address,
      "sovr.ledger.v1.LedgerService/GetBalance",
    );
    expect(JSON.parse(read)).toMatchObject({ balance: { accountId: "1000002", ledger: 1 } });
  });

  it("shows the details of an error", async () => {
    const failed = call("-d", "{}", mesh.address, "sovr.ledger.v1.LedgerService/GetBalance");
    await expect(failed).rejects.toMatchObject({
      stderr: expect.stringMatching(/google\.rpc\.ErrorInfo[\s\S]*"reason": "INVALID_FIELD"/),
    });
  });

  it("checks health without a token", async () => {
    const { stdout } = await run(
      grpcurl ?? "",
      [
        "-plaintext",
        "-import-path",
        join(mesh.settings.root, "node_modules/grpc-health-check/proto"),
        "-proto",
        "health/v1/health.proto",
        "-d",
        '{"service": "readiness"}',
        mesh.address,
        "grpc.health.v1.Health/Check",
      ],
      { timeout: 20_000 },
    );
    expect(JSON.parse(stdout)).toEqual({ status: "SERVING" });
  });
});

describe("Envoy's configuration", () => {
  it("is valid, and Envoy warns of nothing in it", async () => {
    const envoy = await requireEnvoy(mesh.settings.root, () => undefined);
    const config = join(mesh.settings.state, "envoy.yaml");
    const { stdout, stderr } = await run(envoy, ["--mode", "validate", "-c", config]);
    const output = stdout + stderr;
    expect(output).toContain("OK");
    expect(output).not.toMatch(/work-in-progress|deprecated|\[warning\]|\[error\]|\[critical\]/i);
  });

  it("logs each request that fails as JSON with the verified subject and without the token", async () => {
    const client = createClient(LedgerService, throughEnvoy("gRPC"));
    await client.listAssets({});
    await expect(client.getBalance({ accountId: "999" })).rejects.toThrow();
    const json = createClient(LedgerService, throughEnvoy("Connect, JSON"));
    await expect(json.getBalance({ accountId: "999" })).rejects.toThrow();
    const lines = () =>
      mesh
        .log("envoy")
        .split("\n")
        .filter((line) => line.startsWith("{"));
    const told = () => lines().map((line) => JSON.parse(line) as Record<string, unknown>);
    const path = "/sovr.ledger.v1.LedgerService/GetBalance";
    // Envoy writes its log when it has a lot, and else every ten seconds.
    await expect.poll(told).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          path,
          content_type: "application/grpc+proto",
          subject: "developer",
          status: 200,
          grpc_status: "NOT_FOUND",
          upstream: "ledger_grpc",
        }),
        expect.objectContaining({ path, status: 404, upstream: "ledger_connect" }),
      ]),
    );
    // What went well, and soon, is left out where nothing of it is asked for.
    const well = { path: "/sovr.ledger.v1.LedgerService/ListAssets", grpc_status: "OK" };
    const fast = told().filter(({ duration_ms: ms }) => Number(ms) < 1_000);
    expect(fast).not.toContainEqual(expect.objectContaining(well));
    expect(mesh.log("envoy")).not.toContain(token);
  });
});
