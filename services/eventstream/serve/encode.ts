import { create } from "@bufbuild/protobuf";
import { everyone, type Viewer } from "#common/ledger/visibility.ts";
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
import { type VisibleEvent, visibleEvent, walletOf } from "../live/filter.ts";
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

/** An event as it is told. Whoever sees the same of it gets the same: nobody may change it. */
interface Told {
  event: Event | undefined;
  /** What was told last of that event; those who heard the same before it hear the same now. */
  response: SubscribeResponse | undefined;
}

/** What was written of one place for the wire. */
interface Written {
  readonly cursor: string;
  /** The event that stands there, as those are told who see all of it. */
  readonly whole: Told;
}

/** So many events are kept as one viewer sees them: he has other windows, and reads them again. The oldest goes first. */
const maskedMax = 4_096;

/** Writes events and cursors of a cluster for the wire; each once, however many subscribers there are. */
export class EventEncoder {
  readonly #clusterId: bigint;
  /** No two events stand at one place, so a place stands for its event too. */
  readonly #written = new WeakMap<Position, Written>();
  /** By viewer and place. */
  readonly #masked = new Map<string, Told>();

  constructor(clusterId: bigint) {
    this.#clusterId = clusterId;
  }

  cursor(position: Position): string {
    return this.#at(position).cursor;
  }

  /** An event as a viewer sees it, who sees something of it. The message is shared: nobody may change it. */
  event(event: StreamEvent, viewer: Viewer = everyone): Event {
    return this.#eventFor(viewer, event).event;
  }

  /** A message of Subscribe. Subscribers that hear the same event after the same cursor share it, and its bytes. */
  response(
    message: StreamMessage,
    prevCursor: string,
    viewer: Viewer = everyone,
  ): SubscribeResponse {
    const cursor = this.cursor(message.position);
    if (message.kind !== "event") {
      return responseOf(cursor, prevCursor, this.#content(cursor, message));
    }
    const { event, told } = this.#eventFor(viewer, message.event);
    if (told.response?.prevCursor === prevCursor) return shareMessage(told.response);
    told.response = responseOf(cursor, prevCursor, { case: "event", value: event });
    return told.response;
  }

  #at(position: Position): Written {
    let written = this.#written.get(position);
    if (written === undefined) {
      const cursor = formatCursor(this.#clusterId, position);
      written = { cursor, whole: { event: undefined, response: undefined } };
      this.#written.set(position, written);
    }
    return written;
  }

  #eventFor(viewer: Viewer, event: StreamEvent): { readonly event: Event; readonly told: Told } {
    const { cursor, whole } = this.#at(event.position);
    if (viewer === everyone && whole.event !== undefined) {
      return { event: whole.event, told: whole };
    }
    const key = `${viewer.key ?? ""} ${cursor}`;
    const known = this.#masked.get(key);
    if (known?.event !== undefined) return { event: known.event, told: known };
    const visible = visibleEvent(viewer, event);
    if (visible === undefined) throw new Error("an event is told to one who sees nothing of it");
    // Nobody else's signature, and so not the same bytes, even where nothing else is kept from him.
    const told = viewer.merchant === undefined && !visible.masked ? whole : this.#keep(key);
    told.event ??= this.#encode(visible);
    return { event: told.event, told };
  }

  #keep(key: string): Told {
    if (this.#masked.size >= maskedMax) {
      const oldest = this.#masked.keys().next();
      if (!oldest.done) this.#masked.delete(oldest.value);
    }
    const told: Told = { event: undefined, response: undefined };
    this.#masked.set(key, told);
    return told;
  }

  #content(
    cursor: string,
    message: Exclude<StreamMessage, { kind: "event" }>,
  ): SubscribeResponse["message"] {
    switch (message.kind) {
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

  #encode(event: VisibleEvent): Event {
    const { evidence } = event;
    const message = create(EventSchema);
    message.eventId = eventId(this.#clusterId, event.position);
    message.type = typeToProto[event.type];
    message.commitTime = formatNanoseconds(event.position.timestamp);
    message.wallet = walletOf(event);
    message.transfers = event.transfers.map(formatTransfer);
    message.account = event.account === undefined ? undefined : formatAccount(event.account);
    message.legCount = event.legCount;
    message.masked = event.masked;
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

function responseOf(
  cursor: string,
  prevCursor: string,
  content: SubscribeResponse["message"],
): SubscribeResponse {
  const response = create(SubscribeResponseSchema);
  response.cursor = cursor;
  response.prevCursor = prevCursor;
  response.message = content;
  return response;
}
