import { postingCodes } from "#common/intent/posting-codes.ts";
import { findChartAccount } from "#common/ledger/chart.ts";
import { type Event, EventType } from "#gen/sovr/eventstream/v1/event_pb.ts";
import type { Transfer } from "#gen/sovr/ledger/v1/transfer_pb.ts";
import { usd } from "../currency.ts";
import { walletAccountId } from "../wallet/ids.ts";

/** An event for people. */
export interface EventWords {
  readonly kind: "purchase" | "income" | "account" | "reserved" | "released" | "other";
  readonly title: string;
  /** What it did to the wallet's dollars, in cents; undefined if it touched none. */
  readonly change: bigint | undefined;
}

const codeNames = new Map<number, string>(
  Object.entries(postingCodes).map(([name, code]) => [
    code,
    name.toLowerCase().replaceAll("_", " "),
  ]),
);

/** What a posting rule is called, such as "wallet transfer". */
export function codeName(code: number): string {
  return codeNames.get(code) ?? `code ${code}`;
}

/** Says what an event was for its viewer: a wallet, EIP-55, or a person, who has no balance. */
export function describeEvent(event: Event, viewer: string | undefined): EventWords {
  if (event.type === EventType.ACCOUNT_OPENED) {
    return { kind: "account", title: "Account opened", change: undefined };
  }
  const change =
    viewer === undefined
      ? undefined
      : changeOf(event.transfers, String(walletAccountId(viewer, usd)));
  const codes = new Set(event.transfers.map(({ code }) => code));
  if (event.type !== EventType.CLEARED) return { ...pendingWords(event.type), change: undefined };
  if (codes.has(postingCodes.PURCHASE)) {
    // A card funds the wallet in the same chain, and nothing of its balance changes.
    const byCard = codes.has(postingCodes.FUNDING);
    const title = `Bought ${goodsOf(event.transfers)}${byCard ? " by card" : ""}`;
    return { kind: "purchase", title, change: byCard ? undefined : change };
  }
  if (codes.has(postingCodes.FUNDING))
    return { kind: "income", title: "Test money received", change };
  if (codes.has(postingCodes.WALLET_TRANSFER) && viewer !== undefined) {
    const title = (change ?? 0n) < 0n ? "Sent to another wallet" : "Received from another wallet";
    return { kind: (change ?? 0n) < 0n ? "other" : "income", title, change };
  }
  const [first = 0] = codes;
  const name = codeName(first);
  return { kind: "other", title: name.charAt(0).toUpperCase() + name.slice(1), change };
}

function pendingWords(type: EventType): Pick<EventWords, "kind" | "title"> {
  switch (type) {
    case EventType.PENDED:
      return { kind: "reserved", title: "Reserved" };
    case EventType.POSTED:
      return { kind: "purchase", title: "Reservation posted" };
    case EventType.VOIDED:
      return { kind: "released", title: "Reservation voided" };
    case EventType.EXPIRED:
      return { kind: "released", title: "Reservation expired" };
    default:
      return { kind: "other", title: "Something of a newer kind" };
  }
}

function changeOf(transfers: readonly Transfer[], account: string): bigint | undefined {
  const own = transfers.filter(
    ({ debitAccountId, creditAccountId }) =>
      debitAccountId === account || creditAccountId === account,
  );
  if (own.length === 0) return undefined;
  return own.reduce(
    (sum, { amount, creditAccountId }) =>
      creditAccountId === account ? sum + BigInt(amount) : sum - BigInt(amount),
    0n,
  );
}

function goodsOf(transfers: readonly Transfer[]): string {
  const names = transfers.flatMap(({ creditAccountId }) => {
    const account = findChartAccount(BigInt(creditAccountId));
    return account?.class === "OBLIGATION" ? [account.name.split("_")[0]?.toLowerCase() ?? ""] : [];
  });
  return new Intl.ListFormat("en").format(names) || "something";
}
