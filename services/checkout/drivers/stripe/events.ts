import type Stripe from "stripe";
import type { StripeEvent, StripeEvents } from "../../webhooks/ports.ts";
import type { Call } from "./call.ts";
import { pageSize, startingAfter } from "./fields.ts";

/** Stripe's list of events, as the port promises it. */
export function openEvents(stripe: Stripe, call: Call): StripeEvents {
  return {
    async list({ sinceMs, types, after }, limit) {
      const { data, has_more } = await call("events.list", limit, (options) =>
        stripe.events.list(
          {
            created: { gte: Math.floor(sinceMs / 1_000) },
            types: [...types],
            limit: pageSize,
            ...startingAfter(after),
          },
          options,
        ),
      );
      const events = data.map(eventOf).filter((event) => event !== undefined);
      return { events, next: has_more ? data.at(-1)?.id : undefined };
    },
  };
}

/** What an event says that we keep, or undefined if it is none. */
export function eventOf(told: unknown): StripeEvent | undefined {
  if (!isRecord(told)) return undefined;
  const { id, type, created, data } = told;
  if (typeof id !== "string" || !/^[A-Za-z0-9_]{1,255}$/.test(id)) return undefined;
  if (typeof type !== "string" || !/^[a-z0-9_.]{1,128}$/.test(type)) return undefined;
  if (typeof created !== "number" || !(created >= 0 && created < 2 ** 33)) return undefined;
  const object = isRecord(data) && isRecord(data["object"]) ? data["object"] : {};
  return {
    eventId: id,
    type,
    paymentIntentId: idOf(
      object["object"] === "payment_intent" ? object : object["payment_intent"],
    ),
    createTimeMs: Math.floor(created) * 1_000,
  };
}

/** Stripe names an object by its id, or shows it whole. */
function idOf(object: unknown): string {
  const id = isRecord(object) ? object["id"] : object;
  return typeof id === "string" && /^[A-Za-z0-9_]{1,255}$/.test(id) ? id : "";
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
