import { everyone, type Viewer, visibleTo } from "#common/ledger/visibility.ts";
import { walletAccountIds } from "#common/ledger/wallet-account.ts";
import type { EventType, StreamEvent } from "../read/event.ts";

/** Which events: those that match all that is given; within a list one match is enough. An empty list is not given. */
export interface EventSelection {
  readonly types: readonly EventType[];
  readonly accountIds: readonly bigint[];
  /** EIP-55. */
  readonly wallets: readonly string[];
  readonly merchantIds: readonly string[];
  readonly codes: readonly number[];
}

/** Everything. */
export const everything: EventSelection = {
  types: [],
  accountIds: [],
  wallets: [],
  merchantIds: [],
  codes: [],
};

/**
 * What a matching event must carry at least one of, so that events can be handed to those whom they may concern
 * without asking everyone. Undefined: no such key, ask.
 */
export type FilterKeys =
  | { readonly kind: "accounts"; readonly accountIds: ReadonlySet<bigint> }
  | {
      readonly kind: "wallets";
      readonly wallets: ReadonlySet<string>;
      readonly accountIds: ReadonlySet<bigint>;
    }
  | { readonly kind: "merchants"; readonly merchantIds: ReadonlySet<string> }
  | undefined;

/** A selection, made ready once so that each event costs a few set lookups. */
export interface EventFilter {
  readonly keys: FilterKeys;
  matches(event: StreamEvent): boolean;
}

type Test = (event: StreamEvent) => boolean;

/**
 * Makes a filter. It is asked of what the viewer sees of an event, so that nothing of the rest can be found out by
 * asking; whatever the selection says, what he sees nothing of never matches.
 */
export function compileFilter(selection: EventSelection, viewer: Viewer = everyone): EventFilter {
  const tests: Test[] = [];
  let keys: FilterKeys;

  if (selection.types.length > 0) {
    const types = new Set(selection.types);
    tests.push((event) => types.has(event.type));
  }
  if (selection.codes.length > 0) {
    const codes = new Set(selection.codes);
    tests.push((event) => touchesCode(event, codes));
  }
  if (selection.merchantIds.length > 0) {
    const merchantIds = new Set(selection.merchantIds);
    keys = { kind: "merchants", merchantIds };
    tests.push((event) => merchantIds.has(event.evidence?.intent.merchantId ?? ""));
  }
  if (selection.wallets.length > 0) {
    const wallets = new Set(selection.wallets);
    const accountIds = accountsOfWallets(selection.wallets);
    keys = { kind: "wallets", wallets, accountIds };
    tests.push((event) => wallets.has(walletOf(event)) || touchesAccount(event, accountIds));
  }
  if (selection.accountIds.length > 0) {
    const accountIds = new Set(selection.accountIds);
    keys = { kind: "accounts", accountIds };
    tests.push((event) => touchesAccount(event, accountIds));
  }
  const passes = (event: StreamEvent) => tests.every((test) => test(event));
  if (viewer === everyone) return { keys, matches: passes };
  return {
    keys: keysOf(viewer) ?? keys,
    matches(event) {
      const visible = visibleEvent(viewer, event);
      return visible !== undefined && passes(visible);
    },
  };
}

/** What every event carries that a viewer sees; undefined for one who sees all. */
function keysOf({ wallet, merchant }: Viewer): FilterKeys {
  if (merchant !== undefined) return { kind: "merchants", merchantIds: new Set([merchant]) };
  if (wallet === undefined) return undefined;
  return { kind: "accounts", accountIds: accountsOfWallets([wallet]) };
}

/** An event as a viewer sees it. */
export interface VisibleEvent extends StreamEvent {
  readonly legCount: number;
  /** Whether anything is kept from him. */
  readonly masked: boolean;
}

/** What a viewer sees of an event; undefined if that is nothing. */
export function visibleEvent(viewer: Viewer, event: StreamEvent): VisibleEvent | undefined {
  const { account, transfers, evidence } = event;
  if (account !== undefined) {
    return viewer.sees(account.id) ? { ...event, legCount: 0, masked: false } : undefined;
  }
  const visible = visibleTo(viewer, evidence, transfers);
  if (visible === undefined) return undefined;
  const { legs, legCount, masked } = visible;
  return { ...event, transfers: legs, evidence: visible.evidence, legCount, masked };
}

/** The wallet that authorised an event or whose account was opened; "" if there is none. */
export function walletOf(event: StreamEvent): string {
  return event.account?.wallet ?? event.evidence?.intent.wallet ?? "";
}

/** Ids of all accounts that wallets (EIP-55) may have, one in every asset. */
export function accountsOfWallets(wallets: readonly string[]): ReadonlySet<bigint> {
  return new Set(wallets.flatMap(walletAccountIds));
}

function touchesAccount(event: StreamEvent, accountIds: ReadonlySet<bigint>): boolean {
  if (event.account !== undefined) return accountIds.has(event.account.id);
  return event.transfers.some(
    ({ debitAccountId, creditAccountId }) =>
      accountIds.has(debitAccountId) || accountIds.has(creditAccountId),
  );
}

function touchesCode(event: StreamEvent, codes: ReadonlySet<number>): boolean {
  if (event.account !== undefined) return codes.has(event.account.code);
  return event.transfers.some(({ code }) => codes.has(code));
}
