import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import Stripe from "stripe";
import type { Certificates } from "#common/process/tls/certificates.ts";
import { peerOptions } from "#common/process/tls/peer-options.ts";
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

export interface StripeOptions {
  readonly onCall?: OnCall | undefined;
  /** Checkout's own, with which the mesh's simulator is called by https. Stripe itself asks for none. */
  readonly certificates?: Certificates | undefined;
}

/** Opens the way to Stripe, or to where `config.apiUrl` says it is. Nothing connects before the first call. */
export function createStripe(config: StripeConfig, options: StripeOptions = {}): StripeGateway {
  const { apiUrl } = config;
  const agent = agentFor(apiUrl, options.certificates);
  const stripe = new Stripe(config.secretKey, {
    // Whoever calls comes back by itself; the SDK would only use up the deadline.
    maxNetworkRetries: 0,
    telemetry: false,
    httpAgent: agent,
    ...(apiUrl === undefined ? {} : addressOf(apiUrl)),
  });
  const call = caller(options.onCall);
  return {
    payments: { ...openPayments(stripe, call), ...openRefunds(stripe, call) },
    events: openEvents(stripe, call),
    verifyWebhook: webhookVerifier(stripe, config.webhookSecrets),
    close: () => agent.destroy(),
  };
}

function agentFor(apiUrl: URL | undefined, certificates: Certificates | undefined): HttpAgent {
  const common = { keepAlive: true, maxSockets: connectionsMax, timeout: idleConnectionMs };
  if (apiUrl?.protocol === "http:") return new HttpAgent(common);
  if (apiUrl === undefined || certificates === undefined) return new HttpsAgent(common);
  const agent = new HttpsAgent({ ...common, ...peerOptions(certificates, "stripe-sim") });
  // New connections are made with the newest; the agent keeps those apart that were made with another.
  certificates.onChange(() =>
    Object.assign(agent.options, peerOptions(certificates, "stripe-sim")),
  );
  return agent;
}

function addressOf(url: URL): { host: string; port: string; protocol: "http" | "https" } {
  const plain = url.protocol === "http:";
  return {
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port === "" ? (plain ? "80" : "443") : url.port,
    protocol: plain ? "http" : "https",
  };
}
