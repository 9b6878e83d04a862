import { groupCommit } from "#common/group-commit.ts";
import type { StripeEvent, WebhookStore } from "./ports.ts";

/** Stores an event. True if it is new. Throws RECORDS_UNAVAILABLE, and RATE_LIMITED if too many wait. */
export type WebhookInbox = (event: StripeEvent) => Promise<boolean>;

const groupMax = 500;

/**
 * Stores events as they come, and answers for each once it is stored. Those that come while a statement runs share the
 * next one, so that a burst needs few of them and one connection.
 */
export function createWebhookInbox(
  store: Pick<WebhookStore, "insert">,
  waitingMax = 10_000,
): WebhookInbox {
  return groupCommit<StripeEvent, boolean>({
    async run(events) {
      const fresh = new Set(await store.insert(events));
      // Of two copies in one group the first is the new one.
      return events.map(({ eventId }) => fresh.delete(eventId));
    },
    weightMax: groupMax,
    runningMax: 1,
    waitingMax,
  });
}
