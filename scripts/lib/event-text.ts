import { timestampDate } from "@bufbuild/protobuf/wkt";
import { formatAmount } from "#common/assets.ts";
import { findChartAccount } from "#common/chart.ts";
import { type Event, EventTypeSchema } from "#gen/sovr/eventstream/v1/event_pb.ts";

/** An event as people read it: a line for it, and one for each transfer. */
export function eventText(event: Event): string {
  const time = event.commitTime === undefined ? "" : timestampDate(event.commitTime).toISOString();
  const name = EventTypeSchema.value[event.type]?.name.replace("EVENT_TYPE_", "") ?? "UNKNOWN";
  const head = [time.slice(11, 23), name.padEnd(14), subject(event)].join("  ");
  const lines = event.transfers.map(
    (transfer) =>
      `              ${formatAmount(BigInt(transfer.amount), transfer.ledger).padStart(14)}  ` +
      `${accountName(transfer.debitAccountId)} → ${accountName(transfer.creditAccountId)}`,
  );
  return [head, ...lines].join("\n");
}

function subject(event: Event): string {
  if (event.account !== undefined) return accountName(event.account.accountId);
  const parts = [event.intentId, event.reference, event.attested ? "" : "NOT ATTESTED"];
  return parts.filter((part) => part !== "").join("  ");
}

/** An account's name in the chart; a wallet's account by the first digits of its id. */
export function accountName(accountId: string): string {
  return findChartAccount(BigInt(accountId))?.name ?? `wallet account ${accountId.slice(0, 8)}…`;
}
