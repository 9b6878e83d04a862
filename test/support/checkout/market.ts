import { readFileSync } from "node:fs";
import { createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import type { Stripe } from "stripe";
import { CheckoutService } from "#gen/sovr/checkout/v1/checkout_service_pb.ts";
import type { TokenRequest } from "../../../cli/client/token.ts";
import type { Wallet } from "../../../cli/client/wallets.ts";
import { keyFiles } from "../../../cli/state/keys.ts";
import type { TestMesh } from "../mesh/mesh.ts";
import { type Outcome, persist } from "../postgres/persist.ts";
import { createStripe } from "../stripe/calls.ts";
import { type StripeSimControl, stripeSimControl } from "../stripe/sim-control.ts";

export interface MarketItem {
  readonly sku: string;
  readonly quantity: number;
}

/** What a shopper has asked for, and what they were told. */
export interface Purchase {
  readonly intentId: string;
  readonly orderId: string;
  readonly wallet: Wallet;
  readonly byCard: boolean;
  readonly items: readonly MarketItem[];
  /** Epoch milliseconds: when it was asked for first. */
  readonly startMs: number;
  /** "" until it was told. */
  paymentIntentId: string;
  clientSecret: string;
  /** True once Checkout has said that it cleared. */
  toldCleared: boolean;
  /** Why it was refused for good, or "". */
  refusal: string;
}

/** What somebody of the staff has asked for, and what became of it. */
export interface StaffRequest {
  readonly kind: "REFUND" | "FULFILMENT";
  readonly intentId: string;
  readonly orderId: string;
  readonly items: readonly MarketItem[];
  outcome: "UNKNOWN" | "STORED" | "REFUSED";
}

/** A mesh, its Stripe, and all that happens between them and the people. */
export interface Market {
  readonly mesh: TestMesh;
  readonly merchantId: string;
  /** How long a shopper has to pay. */
  readonly lifetimeMs: number;
  readonly purchases: Purchase[];
  readonly requests: StaffRequest[];
  /** How often each refusal came, and how often each kind of thing was done. */
  readonly tally: Map<string, number>;
  /** What must never happen, and did. */
  readonly strange: string[];
  readonly sim: StripeSimControl;
  readonly webhookSecret: string;
  /** The merchant's own way to Stripe, such as the dashboard. */
  readonly dashboard: Stripe;
  /** A shopper's browser. */
  readonly browser: Stripe;
  /** Through Envoy, as whom the token says. */
  transport(request: TokenRequest): Transport;
}

/** Whose purchases are none of the market's. */
export const otherMerchant = "elsewhere";

/** How long a client waits for an answer. */
const callMs = 8_000;

/** `mesh`: one that simulates Stripe. */
export function openMarket(mesh: TestMesh, lifetimeMs: number): Market {
  const { settings } = mesh;
  const { stripe } = keyFiles(settings);
  const url = `http://${settings.host}:${settings.ports.stripeSim}`;
  return {
    mesh,
    merchantId: "market-1",
    lifetimeMs,
    purchases: [],
    requests: [],
    tally: new Map(),
    strange: [],
    sim: stripeSimControl(url),
    webhookSecret: readFileSync(stripe.webhookSecret, "utf8").trim(),
    dashboard: createStripe(url, { key: readFileSync(stripe.secretKey, "utf8").trim() }),
    browser: createStripe(url, { key: readFileSync(stripe.publishableKey, "utf8").trim() }),
    transport(request) {
      let token: Promise<string> | undefined;
      const authorize: Interceptor = (next) => async (call) => {
        token ??= mesh.token(request);
        call.header.set("authorization", `Bearer ${await token}`);
        return next(call);
      };
      return createConnectTransport({
        baseUrl: `http://${mesh.address}`,
        httpVersion: "1.1",
        interceptors: [authorize],
        defaultTimeoutMs: callMs,
      });
    },
  };
}

export function checkoutClient(market: Market, request: TokenRequest) {
  return createClient(CheckoutService, market.transport(request));
}

export type MarketClient = ReturnType<typeof checkoutClient>;

export function count({ tally }: Market, what: string): void {
  tally.set(what, (tally.get(what) ?? 0) + 1);
}

/** Repeats a call until it is answered, or refused for one of these reasons; any other is strange. */
export async function ask<T>(
  market: Market,
  what: string,
  reasons: readonly string[],
  call: () => Promise<T>,
): Promise<Outcome<T>> {
  const outcome = await persist(call);
  count(market, `${what}${outcome.reason === undefined ? "" : `: ${outcome.reason}`}`);
  if (outcome.reason !== undefined && !reasons.includes(outcome.reason)) {
    market.strange.push(`${what} was refused with ${outcome.reason}`);
  }
  return outcome;
}

/** One of them, by chance. */
export function pick<T>(random: () => number, items: readonly T[]): T {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new Error("nothing to pick from");
  return item;
}
