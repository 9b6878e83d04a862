import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { StripeSimError, unauthorized } from "../objects/errors.ts";

/** Whose API key a call carries. */
export interface KeyHolder {
  /** Stands for the key, which is kept nowhere. */
  readonly account: string;
  /** True for a publishable key. */
  readonly browser: boolean;
}

/**
 * Reads the key from the header, or from the `key` parameter as Stripe.js sends it. Throws StripeSimError (401) unless it is
 * one of `keys`, and no secret one that came through a proxy: behind it are browsers, which have none.
 */
export function readKeyHolder(
  request: IncomingMessage,
  parameter: string | undefined,
  keys: readonly string[],
): KeyHolder {
  const key = keyOf(request.headers.authorization ?? "") ?? publishable(parameter);
  if (key === "") {
    throw unauthorized(
      "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
    );
  }
  if (/^(sk|rk|pk)_live_/.test(key)) {
    throw unauthorized(
      "This is a simulator of Stripe, and a live key was sent to it. It was not kept. Look where your code sends its live key.",
    );
  }
  const browser = key.startsWith("pk_");
  const isBehindProxy = request.headers["x-forwarded-prefix"] !== undefined;
  const print = fingerprint(key);
  if (
    (isBehindProxy && !browser) ||
    !keys.some((known) => timingSafeEqual(fingerprint(known), print))
  )
    throw unauthorized("Invalid API Key provided: this simulator takes its own mesh's keys alone.");
  return { account: print.toString("hex", 0, 16), browser };
}

function fingerprint(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}

/** A secret key is never a parameter. */
function publishable(parameter: string | undefined): string {
  return parameter?.startsWith("pk_") === true ? parameter : "";
}

function keyOf(header: string): string | undefined {
  const [, scheme = "", credentials = ""] = /^(Bearer|Basic) +(\S+)$/i.exec(header) ?? [];
  if (scheme.toLowerCase() === "bearer") return credentials;
  if (scheme.toLowerCase() !== "basic") return undefined;
  return Buffer.from(credentials, "base64").toString("utf8").split(":", 1)[0];
}

export function secretKeyRequired(): StripeSimError {
  return new StripeSimError(403, {
    type: "invalid_request_error",
    code: "secret_key_required",
    message:
      "This API call cannot be made with a publishable API key. Please use a secret API key.",
  });
}
