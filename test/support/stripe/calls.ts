import { Stripe } from "stripe";

/** A call of Stripe's API and how it was answered. */
export interface StripeCall {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly status: number;
  readonly answerHeaders: Headers;
  readonly answer: unknown;
}

/** The official SDK, turned to a simulator or to stripe-mock. Never retries. */
export function createStripe(
  url: string,
  options: { readonly key?: string; readonly calls?: StripeCall[] } = {},
): Stripe {
  const { hostname, port } = new URL(url);
  const { calls } = options;
  return new Stripe(options.key ?? "sk_test_contract", {
    host: hostname,
    port,
    protocol: "http",
    maxNetworkRetries: 0,
    telemetry: false,
    timeout: 10_000,
    ...(calls === undefined
      ? {}
      : { httpClient: Stripe.createFetchHttpClient(recordingFetch(calls)) }),
  });
}

function recordingFetch(calls: StripeCall[]): typeof fetch {
  return async (input, init) => {
    const response = await fetch(input, init);
    const { pathname: path, search: query } = new URL(String(input));
    calls.push({
      method: init?.method ?? "GET",
      path,
      query,
      headers: Object.fromEntries(new Headers(init?.headers)),
      body: typeof init?.body === "string" ? init.body : "",
      status: response.status,
      answerHeaders: response.headers,
      answer: await response.clone().json(),
    });
    return response;
  };
}
