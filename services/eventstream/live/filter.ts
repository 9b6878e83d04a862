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
 * Makes a filter. `onlyWallet` narrows it, whatever the selection says, to events that touch an account of that
 * wallet: what a credential that is bound to a wallet may see.
 */
export function compileFilter(selection: EventSelection, onlyWallet?: string): EventFilter {
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
  if (onlyWallet !== undefined) {
    const accountIds = accountsOfWallets([onlyWallet]);
    keys = { kind: "accounts", accountIds };
    tests.push((event) => touchesAccount(event, accountIds));
  }
  return { keys, matches: (event) => tests.every((test) => test(event)) };
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
