import { timestampDate } from "@bufbuild/protobuf/wkt";
import { zeroWallet } from "#common/address.ts";
import { assets, findAsset, formatAmount } from "#common/ledger/assets.ts";
import { findChartAccount } from "#common/ledger/chart.ts";
import { walletAccountId } from "#common/ledger/wallet-account.ts";
import { type Event, EventType, EventTypeSchema } from "#gen/sovr/eventstream/v1/event_pb.ts";

/** How a part of the text should look: node:util's styleText, or nothing at all. */
export type Paint = (
  style: "bold" | "dim" | "red" | "green" | "yellow" | "cyan",
  text: string,
) => string;

/** What wallets and their accounts are called here. */
export interface WalletNames {
  /** By EIP-55 address. */
  readonly wallets: ReadonlyMap<string, string>;
  /** By account id. */
  readonly accounts: ReadonlyMap<bigint, string>;
}

/** Knows wallets by their names, and their accounts in every asset. */
export function walletNames(
  known: readonly { readonly name: string; readonly address: string }[],
): WalletNames {
  return {
    wallets: new Map(known.map(({ name, address }) => [address, name])),
    accounts: new Map(
      known.flatMap(({ name, address }) =>
        assets.map(({ ledger }) => [walletAccountId(address, ledger), name] as const),
      ),
    ),
  };
}

/** Nobody is known by name. */
export const noNames: WalletNames = walletNames([]);

const plain: Paint = (_style, text) => text;
const colours: Partial<Record<EventType, Parameters<Paint>[0]>> = {
  [EventType.CLEARED]: "green",
  [EventType.POSTED]: "green",
  [EventType.PENDED]: "yellow",
  [EventType.VOIDED]: "yellow",
  [EventType.EXPIRED]: "yellow",
  [EventType.ACCOUNT_OPENED]: "cyan",
};
const typeWidth = 7;
const amountWidth = 16;
const routeWidth = 34;
const blank = " ".repeat("00:00:00.000".length + 2 + typeWidth);

/**
 * An event as people read it, in columns: time (UTC), what happened, amount, from whom to whom, and what the intent says.
 * One line for each transfer, one at least.
 */
export function eventLines(event: Event, names = noNames, paint = plain): string[] {
  const time = event.commitTime === undefined ? "" : timestampDate(event.commitTime).toISOString();
  const name = EventTypeSchema.value[event.type]?.name.replace("EVENT_TYPE_", "") ?? "UNKNOWN";
  const type = name.replace("ACCOUNT_", "").padEnd(typeWidth);
  const head = `${paint("dim", time.slice(11, 23).padEnd(12))}  ${paint(colours[event.type] ?? "bold", type)}`;
  const routes = routesOf(event, names);
  const about = aboutIntent(event, paint);
  return routes.map(([amount, route], index) => {
    const isLast = index > 0 || about === "";
    const columns = `${paint("bold", amount.padStart(amountWidth))}  ${isLast ? route : route.padEnd(routeWidth)}`;
    return index === 0
      ? `${head}  ${columns}${isLast ? "" : `  ${about}`}`
      : `${blank}  ${columns}`;
  });
}

/** Amount and way of each transfer; of an account that was opened, its asset and name. */
function routesOf(event: Event, names: WalletNames): (readonly [string, string])[] {
  const { account } = event;
  if (account !== undefined) {
    const asset = findAsset(account.ledger)?.code ?? `ledger ${account.ledger}`;
    return [[asset, account.wallet === "" ? account.name : walletName(account.wallet, names)]];
  }
  return event.transfers.map(({ amount, ledger, debitAccountId, creditAccountId }) => {
    const nameOf = (id: string) => accountName(BigInt(id), ledger, event.wallet, names);
    return [
      formatAmount(BigInt(amount), ledger),
      `${nameOf(debitAccountId)} → ${nameOf(creditAccountId)}`,
    ];
  });
}

function aboutIntent(event: Event, paint: Paint): string {
  if (event.account !== undefined) return "";
  if (!event.attested) return paint("red", "NOT ATTESTED: written past Clearing");
  const said = [event.reference, event.merchantId, event.corrects === "" ? "" : "corrects another"];
  return [...said.filter((part) => part !== ""), paint("dim", event.intentId)].join("  ");
}

/** An account's name in the chart, its wallet's, or the first digits of its id. `wallet` is whom the event is about. */
function accountName(id: bigint, ledger: number, wallet: string, names: WalletNames): string {
  const known = findChartAccount(id)?.name ?? names.accounts.get(id);
  if (known !== undefined) return known;
  const isItsOwn = wallet !== "" && wallet !== zeroWallet && walletAccountId(wallet, ledger) === id;
  return isItsOwn ? walletName(wallet, names) : `account ${id.toString().slice(0, 8)}…`;
}

function walletName(wallet: string, names: WalletNames): string {
  return names.wallets.get(wallet) ?? `${wallet.slice(0, 6)}…${wallet.slice(-4)}`;
}
