import Stripe from "stripe";
import type { VerifiedWebhook } from "../../webhooks/ports.ts";
import { eventOf } from "./events.ts";

/** How far a webhook's time may be from ours, as Stripe sets it, in seconds. */
const windowSeconds = 300;

/**
 * Checks a webhook: its signature over the raw body by the secrets, and its time to 300 s of `nowMs` on both sides.
 * `header` is Stripe-Signature, "" if there is none. Pure.
 */
export type VerifyWebhook = (body: Buffer, header: string, nowMs: number) => VerifiedWebhook;

/** Makes the check, by any of the secrets that are configured. */
export function webhookVerifier(stripe: Stripe, secrets: readonly string[]): VerifyWebhook {
  return (body, header, nowMs) => {
    if (header === "") return { refusal: "SIGNATURE_MISSING" };
    // One time alone: of two the SDK would sign one, and we might judge the other.
    const [time, ...more] = header.split(",").filter((item) => item.startsWith("t="));
    if (time === undefined || more.length > 0 || !/^t=[0-9]{1,12}$/.test(time)) {
      return { refusal: "SIGNATURE_INVALID" };
    }
    // Of a signature that is empty the SDK thinks that we have forgotten it.
    const signatures = header.split(",").filter((item) => item.startsWith("v1="));
    if (!signatures.every((item) => /^v1=[0-9a-f]{64}$/.test(item))) {
      return { refusal: "SIGNATURE_INVALID" };
    }
    if (!secrets.some((secret) => isSigned(stripe, secret, body, header))) {
      return { refusal: "SIGNATURE_INVALID" };
    }
    const ageSeconds = Math.floor(nowMs / 1_000) - Number(time.slice("t=".length));
    if (Math.abs(ageSeconds) > windowSeconds) return { refusal: "OUTSIDE_WINDOW" };
    const event = eventOf(parse(body));
    return event === undefined ? { refusal: "BODY_INVALID" } : { event };
  };
}

/** By the SDK, in constant time; with the tolerance 0 it leaves the time to us, who also refuse the future. */
function isSigned(stripe: Stripe, secret: string, body: Buffer, header: string): boolean {
  try {
    return stripe.webhooks.signature?.verifyHeader(body, header, secret, 0) ?? false;
  } catch (error) {
    if (error instanceof Stripe.errors.StripeSignatureVerificationError) return false;
    throw error;
  }
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    return undefined;
  }
}
