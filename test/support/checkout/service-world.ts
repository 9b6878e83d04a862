import { generateKeyPairSync } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { contracts } from "#common/contracts.ts";
import { createPool } from "#common/postgres/pool.ts";
import { createLogger } from "#common/process/logger.ts";
import { serviceScopes } from "#common/roles.ts";
import { createRpcClient, type RpcClient } from "#common/rpc/client.ts";
import { mountOf } from "#common/rpc/mount.ts";
import { type Running, serve } from "#common/rpc/serve.ts";
import { openClient } from "#common/tigerbeetle/open-client.ts";
import { type ReadOnlyClient, readOnlyClient } from "#common/tigerbeetle/read-only-client.ts";
import { newUuidV7 } from "#common/uuid.ts";
import { AttestorService } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import type { PaymentMethod } from "#gen/sovr/checkout/v1/checkout_pb.ts";
import { CheckoutService } from "#gen/sovr/checkout/v1/checkout_service_pb.ts";
import { ClearingService } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { createAttestBatch } from "../../../services/attestor/batch/attest-batch.ts";
import { attestorConfig } from "../../../services/attestor/config.ts";
import { createAttestorDeps } from "../../../services/attestor/deps.ts";
import { createAttestorService } from "../../../services/attestor/service.ts";
import { checkoutConfig } from "../../../services/checkout/config.ts";
import { createCheckoutDeps } from "../../../services/checkout/deps.ts";
import { createCheckoutService } from "../../../services/checkout/service.ts";
import { clearingConfig } from "../../../services/clearing/config.ts";
import { createClearingDeps } from "../../../services/clearing/deps.ts";
import { createClearingService } from "../../../services/clearing/service.ts";
import { type StartedStripeSim, startStripeSim } from "../../../services/stripe-sim/start.ts";
import { ClearingWorld, chart } from "../clearing/world.ts";
import type { TestEngine } from "../ledger/tigerbeetle.ts";
import { openDatabase } from "../postgres/database.ts";
import type { TestDatabase } from "../postgres/postgres.ts";
import { freePort } from "../rpc/free-port.ts";
import { createTokenIssuer, type TokenIssuer } from "../rpc/token-issuer.ts";

export type CheckoutClient = RpcClient<typeof CheckoutService>;

const stripeKey = "sk_test_checkoutworld";
const publishableKey = "pk_test_checkoutworld";
const webhookSecret = "whsec_checkoutworld";
const callMs = 10_000;
const losses = 7_000_002n;

interface Parts {
  readonly ledger: ClearingWorld;
  readonly stripe: StartedStripeSim;
  readonly issuer: TokenIssuer;
  readonly records: TestDatabase;
  readonly environment: Record<string, string>;
  readonly webhookPort: number;
}

/** CheckoutService over gRPC with all that it needs, real and in this process; Stripe is the simulator. */
export class CheckoutServiceWorld {
  readonly #parts: Parts;
  readonly #peers: Running[] = [];
  readonly #clients: CheckoutClient[] = [];
  #checkout: Running | undefined;
  #reader: Promise<ReadOnlyClient> | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  get ledger(): ClearingWorld {
    return this.#parts.ledger;
  }

  get stripe(): StartedStripeSim {
    return this.#parts.stripe;
  }

  get records(): TestDatabase {
    return this.#parts.records;
  }

  /** A client of the Attestor that may attest anything; whoever takes it disposes it. */
  attestor(): RpcClient<typeof AttestorService> {
    const { environment, issuer } = this.#parts;
    return createRpcClient(AttestorService, {
      address: environment["ATTESTOR_ADDRESS"] ?? "",
      token: () => issuer.token({ scope: "attest attest.house" }),
      defaultTimeoutMs: callMs,
    });
  }

  /** Starts Attestor and Clearing. */
  async startPeers(): Promise<void> {
    const { environment } = this.#parts;
    const overrides = { logger: createLogger("peers", "silent"), nowMs: () => this.ledger.nowMs() };
    const attestor = await createAttestorDeps(attestorConfig(environment), overrides);
    const batches = { attestBatch: createAttestBatch(attestor) };
    const attestorServer = await serve({
      ...attestor,
      config: attestorConfig(environment).runtime,
      mounts: [mountOf(AttestorService, createAttestorService(attestor), batches)],
      contracts,
    });
    const clearing = await createClearingDeps(clearingConfig(environment), overrides);
    const clearingServer = await serve({
      ...clearing,
      config: clearingConfig(environment).runtime,
      // The shop clears no batches, so no threads wait for one.
      mounts: [mountOf(ClearingService, createClearingService(clearing), { clearBatch: refuse })],
      contracts,
    });
    this.#peers.push(attestorServer, clearingServer);
    environment["ATTESTOR_ADDRESS"] = `127.0.0.1:${attestorServer.ports.grpc}`;
    environment["CLEARING_ADDRESS"] = `127.0.0.1:${clearingServer.ports.grpc}`;
  }

  /** Starts Checkout, where Stripe's webhooks go. */
  async startCheckout(more: Record<string, string> = {}): Promise<void> {
    const { environment, webhookPort } = this.#parts;
    const all = { ...environment, ...more, CONNECT_ADDRESS: `127.0.0.1:${webhookPort}` };
    const config = checkoutConfig(all);
    const logger = createLogger("checkout", "silent");
    const deps = await createCheckoutDeps(config, { logger, nowMs: () => this.ledger.nowMs() });
    this.#checkout = await serve({
      ...deps,
      config: config.runtime,
      mounts: [mountOf(CheckoutService, createCheckoutService(deps))],
      contracts,
    });
  }

  async stopCheckout(): Promise<void> {
    for (const client of this.#clients.splice(0)) client[Symbol.dispose]();
    await this.#checkout?.stop();
    this.#checkout = undefined;
  }

  /** Begins to stop Checkout, as SIGTERM does, and leaves its clients open. */
  async drainCheckout(): Promise<void> {
    await this.#checkout?.stop();
    this.#checkout = undefined;
  }

  /**
   * Sets the clock of Checkout and its peers ahead of the real one, and has Checkout look after whatever waits for a
   * time. At most four minutes: then a webhook would be too old.
   */
  async setAhead(ms: number): Promise<void> {
    this.ledger.clockOffsetMs = ms;
    const { databaseUrl } = this.records;
    const pool = createPool({ databaseUrl, applicationName: "test" });
    await pool.query(
      "update checkout_order set next_check_time = now() where next_check_time is not null",
    );
    await pool.end();
  }

  /** A client with a scope, bound to a wallet or a merchant if one is given. */
  client(scope: string, wallet?: string, merchant?: string): CheckoutClient {
    const port = this.#checkout?.ports.grpc;
    if (port === undefined) throw new Error("Checkout does not run");
    const { issuer } = this.#parts;
    const client = createRpcClient(CheckoutService, {
      address: `127.0.0.1:${port}`,
      token: () =>
        issuer.token({
          scope,
          ...(wallet === undefined ? {} : { wallet }),
          ...(merchant === undefined ? {} : { merchant }),
        }),
      defaultTimeoutMs: callMs,
    });
    this.#clients.push(client);
    return client;
  }

  /** A request to buy, new in every id. */
  order(
    wallet: string,
    paymentMethod: PaymentMethod,
    items: readonly { readonly sku: string; readonly quantity: number }[],
  ) {
    return {
      intentId: newUuidV7(),
      wallet,
      merchantId: "market-1",
      orderId: `order ${newUuidV7()}`,
      items: [...items],
      paymentMethod,
    };
  }

  /** Pays as a shopper's browser does. Returns the status that Stripe answers, or its error's code. */
  async pay(clientSecret: string, paymentMethod = "pm_card_visa"): Promise<string> {
    const id = clientSecret.split("_secret_")[0] ?? "";
    const response = await fetch(`${this.stripe.url}/v1/payment_intents/${id}/confirm`, {
      method: "POST",
      headers: { authorization: `Bearer ${publishableKey}` },
      body: new URLSearchParams({ client_secret: clientSecret, payment_method: paymentMethod }),
      signal: AbortSignal.timeout(callMs),
    });
    const body = (await response.json()) as {
      status?: string;
      error?: { code?: string; message?: string };
    };
    return body.error?.code ?? body.error?.message ?? body.status ?? "";
  }

  /** Minor units on the accounts' normal side, read past Clearing. */
  async books() {
    this.#reader ??= openClient(this.ledger.engine.config).then(readOnlyClient);
    const reader = await this.#reader;
    const ids = [chart.stripe, chart.milk, chart.eggs, chart.bread, losses, chart.instacart];
    const rows = new Map((await reader.lookupAccounts(ids)).map((row) => [row.id, row]));
    const debit = (id: bigint) => {
      const row = rows.get(id);
      return row === undefined ? 0n : row.debits_posted - row.credits_posted;
    };
    return {
      stripe: debit(chart.stripe),
      milk: -debit(chart.milk),
      eggs: -debit(chart.eggs),
      bread: -debit(chart.bread),
      losses: debit(losses),
      agent: debit(chart.instacart),
    };
  }

  async close(): Promise<void> {
    await this.stopCheckout();
    await this.stripe.stop();
    await Promise.all(this.#peers.map((server) => server.stop()));
    (await this.#reader)?.destroy();
    await this.ledger.close();
    await this.records.stop();
    this.#parts.issuer[Symbol.dispose]();
  }
}

/** Starts a world on an engine. `more` goes to the environment of Checkout and its peers. */
export async function startCheckoutServiceWorld(
  engine: TestEngine,
  more: Record<string, string> = {},
): Promise<CheckoutServiceWorld> {
  const records = await openDatabase();
  const ledger = new ClearingWorld(await engine.start(), records.databaseUrl);
  const issuer = await createTokenIssuer();
  const webhookPort = await freePort();
  const stripe = await startStripeSim({
    keys: [stripeKey, publishableKey, "sk_test_dashboard"],
    webhook: { url: `http://127.0.0.1:${webhookPort}/webhooks/stripe`, secrets: [webhookSecret] },
    settings: { retryFirstMs: 100, retryMaxMs: 1_000 },
  });
  const environment = {
    ...ledger.environment(),
    ATTESTOR_PRIVATE_KEY: Buffer.from(ledger.signer.privateKey).toString("hex"),
    CHECKOUT_CREDENTIAL_KEY: addCredential(issuer.jwksPath),
    JWT_JWKS_FILE: issuer.jwksPath,
    GRPC_ADDRESS: "127.0.0.1:0",
    CONNECT_ADDRESS: "127.0.0.1:0",
    METRICS_ADDRESS: "127.0.0.1:0",
    STRIPE_SECRET_KEY: stripeKey,
    STRIPE_WEBHOOK_SECRET: webhookSecret,
    STRIPE_API_URL: stripe.url,
    ...more,
  };
  const world = new CheckoutServiceWorld({
    ledger,
    stripe,
    issuer,
    records,
    environment,
    webhookPort,
  });
  await world.startPeers();
  await world.startCheckout();
  return world;
}

/** Makes Checkout's own key, lets those who check tokens know it, and returns the private half. */
function addCredential(jwksPath: string): string {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const { keys } = JSON.parse(readFileSync(jwksPath, "utf8")) as { keys: object[] };
  const rights = { sovr_scopes: serviceScopes.checkout };
  const known = {
    ...publicKey.export({ format: "jwk" }),
    kid: "checkout",
    alg: "EdDSA",
    ...rights,
  };
  writeFileSync(jwksPath, JSON.stringify({ keys: [...keys, known] }));
  return JSON.stringify({ ...privateKey.export({ format: "jwk" }), kid: "checkout" });
}

function refuse(): never {
  throw new Error("the shop clears no batches");
}
