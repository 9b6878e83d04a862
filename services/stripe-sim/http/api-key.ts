import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { StripeSimError, unauthorized } from "../objects/errors.ts";

/** Whose API key a call carries. */
export interface KeyHolder {
  /** Stands for the key, which is kept nowhere. */
  readonly account: string;
  /** True for a publishable key. */
  readonly browser: boolean;
}

/** Reads the key from the header, or from the `key` parameter as Stripe.js sends it. Throws StripeSimError (401). */
export function readKeyHolder(request: IncomingMessage, parameter: string | undefined): KeyHolder {
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
  if (!/^(sk|rk|pk)_test_[A-Za-z0-9_]{1,200}$/.test(key)) {
    throw unauthorized(
      "Invalid API Key provided: this simulator takes sk_test_, rk_test_ and pk_test_ keys.",
    );
  }
  return {
    account: createHash("sha256").update(key).digest("hex").slice(0, 32),
    browser: key.startsWith("pk_"),
  };
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
