import { showBalance } from "../objects/balance-transactions.ts";
import type { Call } from "../objects/call.ts";
import { invalidRequest, resourceMissing } from "../objects/errors.ts";
import type { Kind } from "../objects/stored.ts";
import { findCharge } from "../payments/charges.ts";
import * as intentParams from "../payments/intent-params.ts";
import * as intents from "../payments/intents.ts";
import {
  createPaymentMethod,
  findPaymentMethod,
  paymentMethodParams,
} from "../payments/methods.ts";
import * as refunds from "../payments/refunds.ts";
import * as endpoints from "../webhooks/endpoints.ts";
import { showEvent } from "../webhooks/events.ts";
import { expand } from "./expand.ts";
import type { FormMap } from "./form-codec.ts";
import { listPage, listParams } from "./lists.ts";
import { boolean, list, object, type Read, type Reader, text } from "./params.ts";

/** One operation of the API. */
export interface Route {
  readonly method: "GET" | "POST" | "DELETE";
  /** Its path, where `:id` stands for an id. */
  readonly path: string;
  /** Whether a publishable key may call it, which also lets pages of other origins do so. */
  readonly browser: boolean;
  /** Reads the parameters; what it throws is not kept for the idempotency key. Then `run` does the work. */
  readonly prepare: (form: FormMap) => (call: Call, id: string) => object;
}

type Shape = Readonly<Record<string, Reader<unknown>>>;

function route<S>(
  method: Route["method"],
  path: string,
  shape: S,
  run: (call: Call, id: string, params: Read<S>) => object,
  browser = false,
): Route {
  const read = object({ ...(shape as Shape), expand: list(text(), 20) });
  const prepare = (form: FormMap) => {
    const { expand: paths, ...params } = read(form, "") as { expand?: readonly string[] };
    return (call: Call, id: string) => {
      const answer = run(call, id, params as Read<S>);
      return paths === undefined ? answer : expand(call, answer, paths);
    };
  };
  return { method, path, browser, prepare };
}

function retrieve<K extends Kind>(path: string, kind: K): Route {
  return route("GET", path, {}, (call, id) => {
    const stored = call.store.find(kind, id);
    if (stored === undefined) throw resourceMissing(kind, id, { param: "id", status: 404 });
    return stored.body;
  });
}

function forBrowser(call: Call, intent: ReturnType<typeof intents.findIntent>): object {
  return call.browser ? intents.showToBrowser(intent) : intent;
}

const intentRoutes: readonly Route[] = [
  route("POST", "/v1/payment_intents", intentParams.createIntentParams, (call, _, params) =>
    intents.createIntent(call, params),
  ),
  route(
    "GET",
    "/v1/payment_intents",
    { ...listParams, customer: text() },
    (call, _, { customer, ...params }) => {
      if (customer !== undefined) {
        throw resourceMissing("customer", customer, { param: "customer", status: 400 });
      }
      return listPage(call, "payment_intent", "/v1/payment_intents", params);
    },
  ),
  route(
    "GET",
    "/v1/payment_intents/:id",
    intentParams.retrieveIntentParams,
    (call, id, params) => forBrowser(call, intents.retrieveIntent(call, id, params)),
    true,
  ),
  route("POST", "/v1/payment_intents/:id", intentParams.updateIntentParams, intents.updateIntent),
  route(
    "POST",
    "/v1/payment_intents/:id/confirm",
    intentParams.confirmIntentParams,
    (call, id, params) => forBrowser(call, intents.confirm(call, id, params)),
    true,
  ),
  route(
    "POST",
    "/v1/payment_intents/:id/capture",
    intentParams.captureIntentParams,
    intents.captureIntent,
  ),
  route(
    "POST",
    "/v1/payment_intents/:id/cancel",
    intentParams.cancelIntentParams,
    intents.cancelIntent,
  ),
];

const methodRoutes: readonly Route[] = [
  route(
    "POST",
    "/v1/payment_methods",
    paymentMethodParams,
    (call, _, params) => createPaymentMethod(call, params),
    true,
  ),
  route("GET", "/v1/payment_methods/:id", {}, (call, id) =>
    findPaymentMethod(call, id, { param: "payment_method", status: 404 }),
  ),
];

const moneyRoutes: readonly Route[] = [
  route(
    "GET",
    "/v1/charges",
    { ...listParams, payment_intent: text(), transfer_group: text() },
    (call, _, { payment_intent, transfer_group, ...params }) =>
      listPage(call, "charge", "/v1/charges", params, {
        filter: defined({ payment_intent, transfer_group }),
      }),
  ),
  route("GET", "/v1/charges/:id", {}, (call, id) => findCharge(call, id)),
  route("POST", "/v1/refunds", refunds.createRefundParams, (call, _, params) =>
    refunds.createRefund(call, params),
  ),
  route(
    "GET",
    "/v1/refunds",
    { ...listParams, payment_intent: text(), charge: text() },
    (call, _, { payment_intent, charge, ...params }) =>
      listPage(call, "refund", "/v1/refunds", params, {
        filter: defined({ payment_intent, charge }),
      }),
  ),
  route("GET", "/v1/refunds/:id", {}, refunds.findRefund),
  route("POST", "/v1/refunds/:id", refunds.updateRefundParams, refunds.updateRefund),
  route("POST", "/v1/refunds/:id/cancel", {}, refunds.cancelRefund),
  route(
    "GET",
    "/v1/balance_transactions",
    { ...listParams, source: text(), type: text(), currency: text() },
    (call, _, { source, type, currency, ...params }) =>
      listPage(call, "balance_transaction", "/v1/balance_transactions", params, {
        filter: defined({ source, type, currency }),
      }),
  ),
  retrieve("/v1/balance_transactions/:id", "balance_transaction"),
  route("GET", "/v1/balance", {}, showBalance),
];

/** Without what is undefined. */
function defined<T extends Readonly<Record<string, string | undefined>>>(filter: T) {
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined)) as {
    readonly [K in keyof T]?: string;
  };
}

const eventRoutes: readonly Route[] = [
  route(
    "GET",
    "/v1/events",
    { ...listParams, type: text(), types: list(text(), 20), delivery_success: boolean },
    (call, _, { type, types, delivery_success: delivered, ...params }) => {
      if (type !== undefined && types !== undefined) {
        throw invalidRequest("You may only specify one of these parameters: type, types.");
      }
      const wanted = types ?? (type === undefined ? [] : [type]);
      const strange = wanted.find((pattern) => !/^[a-z_0-9]+(\.[a-z_0-9]+)*(\.\*)?$/.test(pattern));
      if (strange !== undefined) throw invalidRequest(`Invalid event type: ${strange}`);
      const page = listPage(call, "event", "/v1/events", params, { types: wanted, delivered });
      return { ...page, data: page.data.map((event) => showEvent(call, event)) };
    },
  ),
  route("GET", "/v1/events/:id", {}, (call, id) => {
    const stored = call.store.find("event", id);
    if (stored === undefined) throw resourceMissing("event", id, { param: "id", status: 404 });
    return showEvent(call, stored.body);
  }),
];

const endpointRoutes: readonly Route[] = [
  route("POST", "/v1/webhook_endpoints", endpoints.createEndpointParams, (call, _, params) =>
    endpoints.createEndpoint(call, params),
  ),
  route("GET", "/v1/webhook_endpoints", pageParams(), (call, _, params) =>
    listPage(call, "webhook_endpoint", "/v1/webhook_endpoints", params),
  ),
  route("GET", "/v1/webhook_endpoints/:id", {}, endpoints.findEndpoint),
  route("DELETE", "/v1/webhook_endpoints/:id", {}, endpoints.deleteEndpoint),
];

function pageParams() {
  const { created: _, ...params } = listParams;
  return params;
}

export const routes: readonly Route[] = [
  ...intentRoutes,
  ...methodRoutes,
  ...moneyRoutes,
  ...eventRoutes,
  ...endpointRoutes,
];

const bySegments = routes.map((item) => ({ item, segments: item.path.split("/") }));

/** Finds the operation of a method and a path, and the id in it. */
export function findRoute(
  method: string,
  path: string,
): { readonly route: Route; readonly id: string } | undefined {
  const given = path.split("/");
  for (const { item, segments } of bySegments) {
    if (item.method !== method || segments.length !== given.length) continue;
    if (!segments.every((segment, index) => segment === ":id" || segment === given[index]))
      continue;
    return { route: item, id: given[segments.indexOf(":id")] ?? "" };
  }
  return undefined;
}

/** Whether pages of other origins may call a path. */
export function isForBrowsers(path: string): boolean {
  return ["GET", "POST"].some((method) => findRoute(method, path)?.route.browser === true);
}
