import type { Stripe } from "stripe";
import type { WebhookConfig } from "../config.ts";
import {
  boolean,
  changeMetadata,
  clearableText,
  list,
  metadata,
  type Read,
  required,
  text,
  url,
} from "../http/params.ts";
import { apiVersion, type Call } from "../objects/call.ts";
import { invalidRequest, resourceMissing } from "../objects/errors.ts";
import { newId, randomText } from "../objects/ids.ts";
import type { Store } from "../objects/store.ts";

/** The endpoint that the environment names. Its secrets stay in memory. */
export const environmentEndpoint = "we_environment";

const endpointsMax = 16; // as at Stripe

export const createEndpointParams = {
  url: required(url),
  enabled_events: required(list(text(100), 300)),
  description: clearableText(),
  metadata,
  api_version: text(100),
  connect: boolean,
};

export function listEndpoints(store: Store): Stripe.WebhookEndpoint[] {
  return store.page({
    kind: "webhook_endpoint",
    filter: {},
    created: {},
    types: [],
    after: undefined,
    before: undefined,
    limit: endpointsMax + 1,
  });
}

/** Makes the environment's endpoint what the environment says. What waits for it goes to where it is now. */
export function setEnvironmentEndpoint(
  store: Store,
  webhook: WebhookConfig | undefined,
  nowSeconds: number,
): void {
  if (webhook === undefined) {
    store.remove("webhook_endpoint", environmentEndpoint);
    store.removeDeliveriesTo(environmentEndpoint);
    return;
  }
  const endpoint = endpointObject(environmentEndpoint, nowSeconds, {
    url: webhook.url,
    enabled_events: ["*"],
  });
  if (store.find("webhook_endpoint", environmentEndpoint) === undefined) {
    store.insert("webhook_endpoint", endpoint);
  } else store.replace("webhook_endpoint", endpoint);
}

/** The answer alone shows the secret, and only this one. */
export function createEndpoint(
  call: Call,
  params: Read<typeof createEndpointParams>,
): Stripe.WebhookEndpoint {
  if (params.connect === true) {
    throw invalidRequest("This simulator has no connected accounts.", { param: "connect" });
  }
  if (params.api_version !== undefined && params.api_version !== apiVersion) {
    throw invalidRequest(`Invalid api_version: must be ${apiVersion}`, { param: "api_version" });
  }
  const strange = params.enabled_events.findIndex(
    (type) => !/^(\*|[a-z_0-9]+(\.[a-z_0-9]+)+)$/.test(type),
  );
  if (strange !== -1 || params.enabled_events.length === 0) {
    throw invalidRequest("Invalid enabled_events: must be event types or *", {
      param: `enabled_events[${Math.max(strange, 0)}]`,
    });
  }
  if (listEndpoints(call.store).length >= endpointsMax) {
    throw invalidRequest(`You have reached the maximum of ${endpointsMax} test webhook endpoints.`);
  }
  const endpoint = endpointObject(newId("we"), call.nowSeconds, params);
  const secret = `whsec_${randomText(32)}`;
  call.store.insert("webhook_endpoint", endpoint, { secret });
  return { ...endpoint, secret };
}

function endpointObject(
  id: string,
  nowSeconds: number,
  params: Read<typeof createEndpointParams>,
): Stripe.WebhookEndpoint {
  return {
    id,
    object: "webhook_endpoint",
    api_version: apiVersion,
    application: null,
    created: nowSeconds,
    description: params.description ?? null,
    enabled_events: [...params.enabled_events],
    livemode: false,
    metadata: changeMetadata({}, params.metadata),
    status: "enabled",
    url: params.url,
  };
}

export function findEndpoint(call: Call, id: string): Stripe.WebhookEndpoint {
  const stored = call.store.find("webhook_endpoint", id);
  if (stored === undefined) {
    throw resourceMissing("webhook endpoint", id, { param: "id", status: 404 });
  }
  return stored.body;
}

export function deleteEndpoint(call: Call, id: string): Stripe.DeletedWebhookEndpoint {
  findEndpoint(call, id);
  call.store.remove("webhook_endpoint", id);
  call.store.removeDeliveriesTo(id);
  return { id, object: "webhook_endpoint", deleted: true };
}
