import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import Stripe from "stripe";
import type { StripeConfig } from "../../config.ts";
import type { Payments } from "../../ports.ts";
import type { StripeEvents } from "../../webhooks/ports.ts";
import { caller, type OnCall } from "./call.ts";
import { openEvents } from "./events.ts";
import { openPayments } from "./payments.ts";
import { openRefunds } from "./refunds.ts";
import { type VerifyWebhook, webhookVerifier } from "./verify-webhook.ts";

/** Stripe, as Checkout uses it. */
export interface StripeGateway {
  readonly payments: Payments;
  readonly events: StripeEvents;
  readonly verifyWebhook: VerifyWebhook;
  /** Closes the connections. */
  close(): void;
}

/** Beyond this calls wait for each other, each within its deadline. */
const connectionsMax = 64;
const idleConnectionMs = 30_000;

/** Opens the way to Stripe, or to where `config.apiUrl` says it is. Nothing connects before the first call. */
export function createStripe(config: StripeConfig, onCall?: OnCall): StripeGateway {
  const { apiUrl } = config;
  const plain = apiUrl?.protocol === "http:";
  const agent = new (plain ? HttpAgent : HttpsAgent)({
    keepAlive: true,
    maxSockets: connectionsMax,
    timeout: idleConnectionMs,
  });
  const stripe = new Stripe(config.secretKey, {
    // Whoever calls comes back by itself; the SDK would only use up the deadline.
    maxNetworkRetries: 0,
    telemetry: false,
    httpAgent: agent,
    ...(apiUrl === undefined ? {} : addressOf(apiUrl)),
  });
  const call = caller(onCall);
  return {
    payments: { ...openPayments(stripe, call), ...openRefunds(stripe, call) },
    events: openEvents(stripe, call),
    verifyWebhook: webhookVerifier(stripe, config.webhookSecrets),
    close: () => agent.destroy(),
  };
}

function addressOf(url: URL): { host: string; port: string; protocol: "http" | "https" } {
  const plain = url.protocol === "http:";
  return {
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port === "" ? (plain ? "80" : "443") : url.port,
    protocol: plain ? "http" : "https",
  };
}
