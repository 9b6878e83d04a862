import type { Position } from "#common/wire/cursor.ts";
import type { StreamEvent } from "../read/event.ts";
import { type EventFilter, walletOf } from "./filter.ts";

/** Someone who waits for events, and how far he is. While he has joined the hub, it moves him on. */
export interface Interest {
  readonly filter: EventFilter;
  /** Everything that matches up to here was told. */
  at: Position;
  /** Whether the hub wakes him and he takes from its ring. */
  isJoined: boolean;
  /** The number in the ring of the first event that matches and was not taken yet. */
  firstMatch: number | undefined;
  /** Called when `firstMatch` was set. */
  wake(): void;
}

/**
 * Who waits for what. An event costs work for those whom it may concern only: a thousand subscribers that each watch
 * one wallet cost the others nothing.
 */
export class Interests {
  readonly #all = new Set<Interest>();
  /** Those whose filter has no key. */
  readonly #unkeyed = new Set<Interest>();
  readonly #byAccount = new Map<bigint, Set<Interest>>();
  readonly #byWallet = new Map<string, Set<Interest>>();
  readonly #byMerchant = new Map<string, Set<Interest>>();

  get size(): number {
    return this.#all.size;
  }

  add(interest: Interest): void {
    this.#all.add(interest);
    const { keys } = interest.filter;
    if (keys === undefined) this.#unkeyed.add(interest);
    else if (keys.kind === "merchants") addTo(this.#byMerchant, keys.merchantIds, interest);
    else {
      addTo(this.#byAccount, keys.accountIds, interest);
      if (keys.kind === "wallets") addTo(this.#byWallet, keys.wallets, interest);
    }
  }

  remove(interest: Interest): void {
    this.#all.delete(interest);
    const { keys } = interest.filter;
    if (keys === undefined) this.#unkeyed.delete(interest);
    else if (keys.kind === "merchants") removeFrom(this.#byMerchant, keys.merchantIds, interest);
    else {
      removeFrom(this.#byAccount, keys.accountIds, interest);
      if (keys.kind === "wallets") removeFrom(this.#byWallet, keys.wallets, interest);
    }
  }

  /** Tells everyone whom an event concerns and who is not told of an earlier one yet. */
  tell(event: StreamEvent, sequence: number): void {
    tellEach(this.#unkeyed, event, sequence);
    if (this.#byMerchant.size > 0) {
      tellEach(this.#byMerchant.get(event.evidence?.intent.merchantId ?? ""), event, sequence);
    }
    if (this.#byWallet.size > 0) tellEach(this.#byWallet.get(walletOf(event)), event, sequence);
    if (this.#byAccount.size === 0) return;
    if (event.account !== undefined) {
      tellEach(this.#byAccount.get(event.account.id), event, sequence);
    }
    for (const { debitAccountId, creditAccountId } of event.transfers) {
      tellEach(this.#byAccount.get(debitAccountId), event, sequence);
      tellEach(this.#byAccount.get(creditAccountId), event, sequence);
    }
  }

  /** Wakes everyone, match or not. */
  wakeAll(): void {
    for (const interest of this.#all) interest.wake();
  }
}

function tellEach(
  interests: ReadonlySet<Interest> | undefined,
  event: StreamEvent,
  sequence: number,
): void {
  if (interests === undefined) return;
  for (const interest of interests) {
    if (interest.firstMatch !== undefined || !interest.filter.matches(event)) continue;
    interest.firstMatch = sequence;
    interest.wake();
  }
}

function addTo<Key>(
  index: Map<Key, Set<Interest>>,
  keys: ReadonlySet<Key>,
  interest: Interest,
): void {
  for (const key of keys) {
    const interests = index.get(key);
    if (interests === undefined) index.set(key, new Set([interest]));
    else interests.add(interest);
  }
}

function removeFrom<Key>(
  index: Map<Key, Set<Interest>>,
  keys: ReadonlySet<Key>,
  interest: Interest,
): void {
  for (const key of keys) {
    const interests = index.get(key);
    interests?.delete(interest);
    if (interests?.size === 0) index.delete(key);
  }
}
