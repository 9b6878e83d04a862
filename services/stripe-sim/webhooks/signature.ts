import { createHmac } from "node:crypto";

/** The Stripe-Signature header: when it was signed, in epoch seconds, and one v1 signature per secret. */
export function signWebhook(payload: string, secrets: readonly string[], time: number): string {
  const signatures = secrets.map(
    (secret) => `v1=${createHmac("sha256", secret).update(`${time}.${payload}`).digest("hex")}`,
  );
  return [`t=${time}`, ...signatures].join(",");
}
