import { create } from "@bufbuild/protobuf";
import { formatNanoseconds, formatPhase } from "#common/intent/codec.ts";
import { classOfCode, classRules, findChartAccount } from "#common/ledger/chart.ts";
import { type CommittedTransfer, formatDigestPrefix, legOf } from "#common/ledger/transfer-rows.ts";
import { formatU128 } from "#common/u128.ts";
import { formatCursor, type Position } from "#common/wire/cursor.ts";
import {
  type Event,
  EventSchema,
  EventType as EventTypeProto,
} from "#gen/sovr/eventstream/v1/event_pb.ts";
import { type Account, AccountSchema, AccountType } from "#gen/sovr/ledger/v1/account_pb.ts";
import { type Transfer, TransferSchema } from "#gen/sovr/ledger/v1/transfer_pb.ts";
import { type EventType, eventId, type LedgerAccount, type StreamEvent } from "../read/event.ts";
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
    message.transfers = event.transfers.map(encodeTransfer);
    message.account =
      event.account === undefined ? undefined : encodeAccount(event.account, message.wallet);
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

// Field by field, not by an initialiser: this runs for every transfer of a catch-up.
function encodeTransfer(transfer: CommittedTransfer): Transfer {
  const message = create(TransferSchema);
  const { leg, legs } = legOf(transfer.userData32);
  message.transferId = formatU128(transfer.id);
  message.debitAccountId = formatU128(transfer.debitAccountId);
  message.creditAccountId = formatU128(transfer.creditAccountId);
  message.amount = formatU128(transfer.amount);
  message.ledger = transfer.ledger;
  message.code = transfer.code;
  message.phase = formatPhase(transfer.phase);
  message.pendingTransferId = transfer.pendingId === 0n ? "" : formatU128(transfer.pendingId);
  message.timeoutSeconds = transfer.timeout;
  message.leg = leg;
  message.legs = legs;
  message.digestPrefix = formatDigestPrefix(transfer);
  message.commitTime = formatNanoseconds(transfer.timestamp);
  return message;
}

function encodeAccount(account: LedgerAccount, wallet: string): Account {
  const accountClass = classOfCode(account.code);
  const isLiability = accountClass !== undefined && classRules[accountClass].type === "LIABILITY";
  const name = wallet === "" ? `ACCOUNT ${account.id}` : `WALLET ${wallet}`;
  return create(AccountSchema, {
    accountId: formatU128(account.id),
    ledger: account.ledger,
    code: account.code,
    name: findChartAccount(account.id)?.name ?? name,
    type: isLiability ? AccountType.LIABILITY : AccountType.ASSET,
    wallet,
    closed: account.closed,
    createTime: formatNanoseconds(account.timestamp),
  });
}
