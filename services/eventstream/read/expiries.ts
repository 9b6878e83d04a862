import { DomainError } from "#common/domain-error.ts";
import type { CommittedTransfer } from "#common/ledger/transfer-rows.ts";
import { comparePositions, type Position } from "#common/wire/cursor.ts";

/** Below this many closed ones the heap is not worth cleaning. */
const closedMin = 1_024;

const nanosecondsPerSecond = 1_000_000_000n;

/** Legs of one chain that run out together. */
export interface Expiry {
  readonly position: Position;
  /** The whole chain that reserved. */
  readonly chain: readonly CommittedTransfer[];
  /** Ids of its legs that are still open. */
  readonly open: Set<bigint>;
  /**
   * True if every transfer since the chain's commit was seen, so that what is open here is open. False for one that
   * was found in the records: its posts and voids are known from there alone.
   */
  readonly seenAll: boolean;
}

/** The instant at which a reservation runs out. It cannot be posted or voided at that instant any more. */
export function expiryOf(transfer: CommittedTransfer): bigint {
  return transfer.timestamp + BigInt(transfer.timeout) * nanosecondsPerSecond;
}

/**
 * The reservations that may still run out, by when they do. Fed with every chain in order, it knows exactly which
 * ones were posted or voided in time, because the ledger refuses that from the instant of expiry on.
 */
export class Expiries {
  readonly #byLeg = new Map<bigint, Expiry>();
  #heap: Expiry[] = [];
  /** How many in the heap have no open leg left. */
  #closed = 0;
  readonly #legsMax: number;

  /** `legsMax`: the most open legs. One takes about 600 bytes. */
  constructor(legsMax: number) {
    this.#legsMax = legsMax;
  }

  /** Open legs. */
  get size(): number {
    return this.#byLeg.size;
  }

  /** Expiries in memory, those included that have no open leg left. */
  get kept(): number {
    return this.#heap.length;
  }

  /** Takes notice of a chain: what it reserves opens, what it posts or voids closes. Throws LIMIT_EXCEEDED. */
  feed(chain: readonly CommittedTransfer[]): void {
    for (const transfer of chain) {
      if (transfer.pendingId !== 0n) this.close(transfer.pendingId);
    }
    if (chain.some((transfer) => transfer.timeout !== 0)) this.open(chain, true);
  }

  /** Opens the legs of a chain that have a timeout, those with the same one as one expiry. Throws LIMIT_EXCEEDED. */
  open(chain: readonly CommittedTransfer[], seenAll: boolean): void {
    const byTimeout = new Map<number, CommittedTransfer[]>();
    for (const transfer of chain) {
      if (transfer.timeout === 0 || transfer.phase !== "PENDING") continue;
      const group = byTimeout.get(transfer.timeout);
      if (group === undefined) byTimeout.set(transfer.timeout, [transfer]);
      else group.push(transfer);
    }
    for (const legs of byTimeout.values()) this.#open(chain, legs, seenAll);
  }

  /** A leg was posted or voided. Unknown ones are none that could expire here. */
  close(transferId: bigint): void {
    const expiry = this.#byLeg.get(transferId);
    if (expiry === undefined) return;
    this.#byLeg.delete(transferId);
    expiry.open.delete(transferId);
    if (expiry.open.size > 0) return;
    this.#closed += 1;
    if (this.#closed > closedMin && this.#closed > this.#heap.length / 2) this.#dropClosed();
  }

  /** Whether some legs of a chain have run out at an instant and others have not. Looks at all: for rare questions. */
  isInside(timestamp: bigint): boolean {
    return this.#heap.some(({ position, chain, open }) => {
      if (position.timestamp <= timestamp) return false;
      return chain.some((leg) => open.has(leg.id) && expiryOf(leg) <= timestamp);
    });
  }

  /** Takes out what has run out at or before an instant, in order. */
  takeUpTo(timestamp: bigint): Expiry[] {
    const taken: Expiry[] = [];
    for (;;) {
      const [first] = this.#heap;
      if (first === undefined || first.position.timestamp > timestamp) return taken;
      popFirst(this.#heap);
      if (first.open.size === 0) {
        this.#closed -= 1;
        continue;
      }
      for (const id of first.open) this.#byLeg.delete(id);
      taken.push(first);
    }
  }

  #dropClosed(): void {
    // A sorted array is a heap.
    this.#heap = this.#heap
      .filter(({ open }) => open.size > 0)
      .sort((a, b) => comparePositions(a.position, b.position));
    this.#closed = 0;
  }

  #open(
    chain: readonly CommittedTransfer[],
    legs: readonly CommittedTransfer[],
    seenAll: boolean,
  ): void {
    const last = legs.at(-1);
    if (last === undefined) return;
    if (this.#byLeg.size + legs.length > this.#legsMax) {
      throw new DomainError("LIMIT_EXCEEDED", "Too many reservations are open at once.", {
        metadata: { limit: String(this.#legsMax), what: "open reservations" },
      });
    }
    const expiry: Expiry = {
      position: { timestamp: expiryOf(last), kind: "EXPIRY", pendingTimestamp: last.timestamp },
      chain,
      open: new Set(legs.map(({ id }) => id)),
      seenAll,
    };
    for (const { id } of legs) this.#byLeg.set(id, expiry);
    push(this.#heap, expiry);
  }
}

// A binary heap, earliest first. What was posted or voided is dropped when half of it has been: cheaper than to find it.

function push(heap: Expiry[], expiry: Expiry): void {
  let index = heap.push(expiry) - 1;
  while (index > 0) {
    const parent = (index - 1) >> 1;
    if (!swapIfEarlier(heap, index, parent)) return;
    index = parent;
  }
}

function popFirst(heap: Expiry[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  heap[0] = last;
  let index = 0;
  for (;;) {
    const left = 2 * index + 1;
    const right = left + 1;
    const child = isEarlier(heap[right], heap[left]) ? right : left;
    if (!swapIfEarlier(heap, child, index)) return;
    index = child;
  }
}

/** Swaps a child with its parent if it comes first. */
function swapIfEarlier(heap: Expiry[], child: number, parent: number): boolean {
  const lower = heap[child];
  const upper = heap[parent];
  if (lower === undefined || upper === undefined || !isEarlier(lower, upper)) return false;
  heap[parent] = lower;
  heap[child] = upper;
  return true;
}

function isEarlier(a: Expiry | undefined, b: Expiry | undefined): boolean {
  return a !== undefined && b !== undefined && comparePositions(a.position, b.position) < 0;
}
