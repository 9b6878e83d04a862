import { create } from "@bufbuild/protobuf";
import { formatAccount } from "#common/wire/account.ts";
import { formatCursor, type Position } from "#common/wire/cursor.ts";
import { formatNanoseconds } from "#common/wire/timestamps.ts";
import { formatTransfer } from "#common/wire/transfer.ts";
import {
  type Event,
  EventSchema,
  EventType as EventTypeProto,
} from "#gen/sovr/eventstream/v1/event_pb.ts";
import { type EventType, eventId, type StreamEvent } from "../read/event.ts";
import { walletOf } from "./filter.ts";

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

/** Writes events and cursors of a cluster for the wire; each once, however many subscribers there are. */
export class EventEncoder {
  readonly #clusterId: bigint;
  readonly #events = new WeakMap<StreamEvent, Event>();
  readonly #cursors = new WeakMap<Position, string>();

  constructor(clusterId: bigint) {
    this.#clusterId = clusterId;
  }

  cursor(position: Position): string {
    let text = this.#cursors.get(position);
    if (text === undefined) {
      text = formatCursor(this.#clusterId, position);
      this.#cursors.set(position, text);
    }
    return text;
  }

  /** The message is shared: nobody may change it. */
  event(event: StreamEvent): Event {
    let message = this.#events.get(event);
    if (message === undefined) {
      message = this.#encode(event);
      this.#events.set(event, message);
    }
    return message;
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
