import type { CommittedTransfer } from "#common/ledger/transfer-rows.ts";
/** What of a pending transfer is needed until it is posted, voided or has run out. */
export type ReservedTransfer = Pick<
  CommittedTransfer,
  "id" | "debitAccountId" | "creditAccountId" | "amount" | "ledger" | "timeout" | "timestamp"
>;

/** A reservation with its end: the instant, nanoseconds, from which on it can be posted no more. */
export interface Reservation {
  readonly transfer: ReservedTransfer;
  readonly end: bigint;
}

const nanosecondsPerSecond = 1_000_000_000n;
/** Below this many closed ones the heap is not worth cleaning. */
const closedMin = 1_024;

/** The pending transfers that are open, and which of them runs out next. */
export class Reservations {
  readonly #open = new Map<bigint, Reservation>();
  /** A binary heap by end, earliest first. Closed ones stay until they are half of it. */
  #heap: Reservation[] = [];

  constructor(open: readonly ReservedTransfer[] = []) {
    for (const transfer of open) this.open(transfer);
  }

  get size(): number {
    return this.#open.size;
  }

  open(from: ReservedTransfer): void {
    const { id, debitAccountId, creditAccountId, amount, ledger, timeout, timestamp } = from;
    const transfer = { id, debitAccountId, creditAccountId, amount, ledger, timeout, timestamp };
    const end = timestamp + BigInt(timeout) * nanosecondsPerSecond;
    const reservation = { transfer, end };
    this.#open.set(id, reservation);
    if (timeout !== 0) this.#push(reservation);
  }

  /** Takes one out; undefined if it is not open. */
  close(id: bigint): ReservedTransfer | undefined {
    const reservation = this.#open.get(id);
    if (reservation === undefined) return undefined;
    this.#open.delete(id);
    if (this.#heap.length > closedMin && this.#heap.length > 2 * this.#open.size) {
      // A sorted array is a heap.
      this.#heap = this.#heap
        .filter((entry) => this.#open.get(entry.transfer.id) === entry)
        .sort((a, b) => (a.end < b.end ? -1 : 1));
    }
    return reservation.transfer;
  }

  /** Takes out what ends at or before an instant, in the order of ends. */
  takeUpTo(instant: bigint): Reservation[] {
    const taken: Reservation[] = [];
    for (;;) {
      const [first] = this.#heap;
      if (first === undefined || first.end > instant) return taken;
      this.#popFirst();
      if (this.#open.get(first.transfer.id) !== first) continue;
      this.#open.delete(first.transfer.id);
      taken.push(first);
    }
  }

  /** Those that are open, in the order in which they were opened. */
  all(): ReservedTransfer[] {
    return [...this.#open.values()].map(({ transfer }) => transfer);
  }

  #push(reservation: Reservation): void {
    let index = this.#heap.push(reservation) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#swapIfEarlier(index, parent)) return;
      index = parent;
    }
  }

  #popFirst(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      const child = this.#endOf(left + 1) < this.#endOf(left) ? left + 1 : left;
      if (!this.#swapIfEarlier(child, index)) return;
      index = child;
    }
  }

  /** Swaps a child with its parent if it ends first. */
  #swapIfEarlier(child: number, parent: number): boolean {
    const lower = this.#heap[child];
    const upper = this.#heap[parent];
    if (lower === undefined || upper === undefined || lower.end >= upper.end) return false;
    this.#heap[parent] = lower;
    this.#heap[child] = upper;
    return true;
  }

  /** The end at a place of the heap; later than any where there is none. */
  #endOf(index: number): bigint {
    return this.#heap[index]?.end ?? 1n << 64n;
  }
}
