import { create } from "@bufbuild/protobuf";
import { formatPhase } from "#common/intent/codec.ts";
import { type CommittedTransfer, formatDigestPrefix, legOf } from "#common/ledger/transfer-rows.ts";
import { formatU128 } from "#common/u128.ts";
import { type Transfer, TransferSchema } from "#gen/sovr/ledger/v1/transfer_pb.ts";
import { formatNanoseconds } from "./timestamps.ts";

/** Writes a committed transfer for the wire. */
export function formatTransfer(transfer: CommittedTransfer): Transfer {
  // Field by field, not by an initialiser: this runs for every transfer of a catch-up.
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
