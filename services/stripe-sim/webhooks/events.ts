import { isDeepStrictEqual } from "node:util";
import { apiVersion, type Call } from "../objects/call.ts";
import { newId } from "../objects/ids.ts";
import type { StoredEvent } from "../objects/stored.ts";
import { listEndpoints } from "./endpoints.ts";

/**
 * Tells an event about an object as it is now: stores it and plans its deliveries, all in the transaction of what
 * happened. `before` is the object as it was: events of changes name what changed.
 */
export function emit<T extends object>(call: Call, type: string, object: T, before?: T): void {
  const endpoints = listEndpoints(call.store).filter(({ enabled_events }) =>
    enabled_events.some((pattern) => pattern === "*" || pattern === type),
  );
  const event: StoredEvent = {
    id: newId("evt"),
    object: "event",
    api_version: apiVersion,
    created: call.nowSeconds,
    data:
      before === undefined
        ? { object }
        : { object, previous_attributes: changedAttributes(before, object) },
    livemode: false,
    pending_webhooks: endpoints.length,
    request: call.request,
    type,
  };
  call.store.insert("event", event);
  for (const endpoint of endpoints) {
    for (const { delayMs, forgery } of call.faults.planDeliveries()) {
      const dueMs = call.nowMs + delayMs;
      call.store.addDelivery({ event: event.id, endpoint: endpoint.id, dueMs, forgery });
    }
  }
  call.events.push(event.id);
}

/** The old values of what changed; of maps only the keys that changed, as Stripe tells it. */
function changedAttributes(before: object, after: object): object {
  const old = before as Readonly<Record<string, unknown>>;
  const now = after as Readonly<Record<string, unknown>>;
  const keys = new Set([...Object.keys(old), ...Object.keys(now)]);
  const changed: Record<string, unknown> = {};
  for (const key of keys) {
    const [was, is] = [old[key] ?? null, now[key] ?? null];
    if (isDeepStrictEqual(was, is)) continue;
    changed[key] = isMap(was) && isMap(is) ? changedAttributes(was, is) : was;
  }
  return changed;
}

function isMap(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** An event as it is told now: how many endpoints still wait for it changes. */
export function showEvent(call: Call, event: StoredEvent): StoredEvent {
  const waiting = call.store.deliveriesOf(event.id).filter(({ forgery }) => forgery === "");
  return { ...event, pending_webhooks: new Set(waiting.map(({ endpoint }) => endpoint)).size };
}
