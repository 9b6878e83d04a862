import { DomainError } from "#common/domain-error.ts";
import type { StoredWebhook, WebhookStore } from "./ports.ts";

/** What operators do with events. */
export interface WebhookEvents {
  /** Newest first, after the position `after` that an earlier page gave. RECORDS_UNAVAILABLE. */
  readonly list: WebhookStore["list"];
  /** Makes an event due again. Throws WEBHOOK_EVENT_NOT_FOUND, RECORDS_UNAVAILABLE. */
  replay(eventId: string): Promise<StoredWebhook>;
}

/** `wake` is called when something is due. */
export function createWebhookEvents(
  store: Pick<WebhookStore, "list" | "replay">,
  wake: () => void,
): WebhookEvents {
  return {
    list: store.list,
    async replay(eventId) {
      const event = await store.replay(eventId);
      if (event === undefined) {
        throw new DomainError("WEBHOOK_EVENT_NOT_FOUND", `there is no event ${eventId}`, {
          metadata: { eventId },
        });
      }
      wake();
      return event;
    },
  };
}
