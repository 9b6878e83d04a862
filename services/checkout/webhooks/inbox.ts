import { DomainError } from "#common/domain-error.ts";
import type { StripeEvent, WebhookStore } from "./ports.ts";

/** Stores an event. True if it is new. Throws RECORDS_UNAVAILABLE. */
export type WebhookInbox = (event: StripeEvent) => Promise<boolean>;

interface Waiting {
  readonly event: StripeEvent;
  readonly resolve: (isNew: boolean) => void;
  readonly reject: (error: unknown) => void;
}

const groupMax = 500;

/**
 * Stores events one by one as they come; those that come while a statement runs share the next one, so that a burst needs
 * few of them and one connection.
 */
export function createWebhookInbox(
  store: Pick<WebhookStore, "insert">,
  waitingMax = 10_000,
): WebhookInbox {
  const waiting: Waiting[] = [];
  let isRunning = false;

  async function run(): Promise<void> {
    isRunning = true;
    while (waiting.length > 0) await storeGroup(store, waiting.splice(0, groupMax));
    isRunning = false;
  }

  return (event) => {
    if (waiting.length >= waitingMax) {
      return Promise.reject(
        new DomainError("RECORDS_UNAVAILABLE", "too many events wait to be stored"),
      );
    }
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    waiting.push({ event, resolve, reject });
    if (!isRunning) void run();
    return promise;
  };
}

/** Never throws: whoever waits hears of it. */
async function storeGroup(
  store: Pick<WebhookStore, "insert">,
  group: readonly Waiting[],
): Promise<void> {
  try {
    const fresh = new Set(await store.insert(group.map(({ event }) => event)));
    // Of two copies in one group the first is the new one.
    for (const { event, resolve } of group) resolve(fresh.delete(event.eventId));
  } catch (error) {
    for (const { reject } of group) reject(error);
  }
}
