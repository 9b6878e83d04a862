import { create } from "@bufbuild/protobuf";
import { shareMessage } from "#common/rpc/shared-message.ts";
import { formatU128 } from "#common/u128.ts";
import { formatAccount } from "#common/wire/account.ts";
import { formatCursor, type Position } from "#common/wire/cursor.ts";
import { formatNanoseconds } from "#common/wire/timestamps.ts";
import { formatTransfer } from "#common/wire/transfer.ts";
import {
  type Event,
  EventSchema,
  EventType as EventTypeProto,
} from "#gen/sovr/eventstream/v1/event_pb.ts";
import {
  BookmarkSchema,
  ClosingSchema,
  OpenedSchema,
  type SubscribeResponse,
  SubscribeResponseSchema,
} from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { walletOf } from "../live/filter.ts";
import { type EventType, eventId, type StreamEvent } from "../read/event.ts";
import type { StreamMessage } from "./subscription.ts";

const typeToProto = {
  CLEARED: EventTypeProto.CLEARED,
  PENDED: EventTypeProto.PENDED,
  POSTED: EventTypeProto.POSTED,
  VOIDED: EventTypeProto.VOIDED,
  EXPIRED: EventTypeProto.EXPIRED,
  ACCOUNT_OPENED: EventTypeProto.ACCOUNT_OPENED,
} as const satisfies Record<EventType, EventTypeProto>;

const typeFromProto = new Map<number, EventType>(
  Object.entries(typeToProto).map(([type, number]) => [number, type as EventType]),
);

/** The domain's event type of the wire's, or undefined. */
export function parseEventType(type: EventTypeProto): EventType | undefined {
  return typeFromProto.get(type);
}

/** What was written of one place for the wire. Whoever comes to the same place gets the same: nobody may change it. */
interface Written {
  readonly cursor: string;
  /** The event that stands there. */
  event: Event | undefined;
  /** What was told last of that event; those who heard the same before it hear the same now. */
  response: SubscribeResponse | undefined;
}

/** Writes events and cursors of a cluster for the wire; each once, however many subscribers there are. */
export class EventEncoder {
  readonly #clusterId: bigint;
  /** No two events stand at one place, so a place stands for its event too. */
  readonly #written = new WeakMap<Position, Written>();

  constructor(clusterId: bigint) {
    this.#clusterId = clusterId;
  }

  cursor(position: Position): string {
    return this.#at(position).cursor;
  }

  /** The message is shared: nobody may change it. */
  event(event: StreamEvent): Event {
    return this.#eventAt(this.#at(event.position), event);
  }

  /** A message of Subscribe. Subscribers that hear the same event after the same cursor share it, and its bytes. */
  response(message: StreamMessage, prevCursor: string): SubscribeResponse {
    const written = this.#at(message.position);
    if (message.kind === "event" && written.response?.prevCursor === prevCursor) {
      return shareMessage(written.response);
    }
    const response = create(SubscribeResponseSchema);
    response.cursor = written.cursor;
    response.prevCursor = prevCursor;
    response.message = this.#content(written, message);
    if (message.kind === "event") written.response = response;
    return response;
  }

  #at(position: Position): Written {
    let written = this.#written.get(position);
    if (written === undefined) {
      const cursor = formatCursor(this.#clusterId, position);
      written = { cursor, event: undefined, response: undefined };
      this.#written.set(position, written);
    }
    return written;
  }

  #eventAt(written: Written, event: StreamEvent): Event {
    written.event ??= this.#encode(event);
    return written.event;
  }

  #content(written: Written, message: StreamMessage): SubscribeResponse["message"] {
    const { cursor } = written;
    switch (message.kind) {
      case "event":
        return { case: "event", value: this.#eventAt(written, message.event) };
      case "opened":
        return {
          case: "opened",
          value: create(OpenedSchema, {
            clusterId: formatU128(this.#clusterId),
            startCursor: cursor,
            ...this.#head(message.head),
          }),
        };
      case "bookmark":
        return { case: "bookmark", value: create(BookmarkSchema, this.#head(message.head)) };
      case "closing":
        return {
          case: "closing",
          value: create(ClosingSchema, { cursor, reason: message.reason }),
        };
    }
  }

  #head(head: Position) {
    return { head: this.cursor(head), headTime: formatNanoseconds(head.timestamp) };
  }

  #encode(event: StreamEvent): Event {
    const { evidence } = event;
    const message = create(EventSchema);
    message.eventId = eventId(this.#clusterId, event.position);
    message.type = typeToProto[event.type];
    message.commitTime = formatNanoseconds(event.position.timestamp);
    message.wallet = walletOf(event);
    message.transfers = event.transfers.map(formatTransfer);
    message.account = event.account === undefined ? undefined : formatAccount(event.account);
    if (evidence === undefined) return message;
    message.intentId = evidence.intent.intentId;
    message.digest = evidence.attestation.digest;
    message.merchantId = evidence.intent.merchantId;
    message.reference = evidence.intent.reference;
    message.corrects = evidence.intent.corrects;
    message.attested = true;
    return message;
  }
}
