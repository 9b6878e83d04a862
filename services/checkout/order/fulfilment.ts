import type { CallLimit } from "#common/deadline.ts";
import { DomainError } from "#common/domain-error.ts";
import {
  type DecideItems,
  enterItems,
  hasCleared,
  type ItemEntry,
  type ItemEntryPorts,
  type ItemRequest,
} from "./enter-items.ts";
import { fulfilmentIntent } from "./intents.ts";
import { fulfilmentOfItems, linesOf } from "./lines.ts";

/** Hands goods over. */
export interface Fulfilments {
  /**
   * Records that items have reached their buyer, and moves what was owed in goods to the honoring agent.
   * Throws CHECKOUT_NOT_FOUND, NOT_FULFILLABLE, INTENT_ID_REUSED, LIMIT_EXCEEDED.
   */
  fulfil(request: ItemRequest, limit: CallLimit): Promise<ItemEntry>;
}

/** `honoringAgentId`: an AGENT of the chart other than STRIPE_SETTLEMENT. */
export function createFulfilments(
  ports: ItemEntryPorts & { readonly honoringAgentId: bigint },
): Fulfilments {
  return {
    fulfil: (request, limit) =>
      enterItems(ports, "FULFILMENT", request, decide(request, ports.honoringAgentId), limit),
  };
}

function decide({ items }: ItemRequest, honoringAgentId: bigint): DecideItems {
  return (record, issue) => {
    const { order } = record;
    if (!hasCleared(record)) {
      throw new DomainError("NOT_FULFILLABLE", `order ${order.orderId} has not cleared`, {
        metadata: { orderId: order.orderId },
      });
    }
    const portions = fulfilmentOfItems(order, linesOf(record), items);
    return { portions, intent: fulfilmentIntent(order, portions, honoringAgentId, issue) };
  };
}
