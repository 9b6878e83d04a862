/** What the table keeps of an account: u128 each. */
const fields = [
  "debitsPosted",
  "creditsPosted",
  "debitsPending",
  "creditsPending",
  /** Right after the account's last transfer. */
  "debitsPendingThen",
  "creditsPendingThen",
  /** When that was committed, nanoseconds. */
  "touched",
] as const;

export type AccountField = (typeof fields)[number];

const offsets = Object.fromEntries(fields.map((field, index) => [field, index * 2])) as Readonly<
  Record<AccountField, number>
>;
const rowWords = fields.length * 2;
const rowsFirst = 1_024;
const low64 = 0xffff_ffff_ffff_ffffn;

/**
 * Sums of accounts in plain words, 112 bytes an account: as objects they would be five times that, and every transfer
 * would leave garbage that lives long enough to be costly.
 */
export class AccountTable {
  readonly #rows = new Map<bigint, number>();
  #words = new BigUint64Array(rowsFirst * rowWords);

  get size(): number {
    return this.#rows.size;
  }

  has(accountId: bigint): boolean {
    return this.#rows.has(accountId);
  }

  accountIds(): IterableIterator<bigint> {
    return this.#rows.keys();
  }

  /** 0 of an account that is not there. */
  get(accountId: bigint, field: AccountField): bigint {
    const row = this.#rows.get(accountId);
    if (row === undefined) return 0n;
    const at = row * rowWords + offsets[field];
    return ((this.#words[at + 1] ?? 0n) << 64n) | (this.#words[at] ?? 0n);
  }

  /** Adds the account if it is not there. */
  set(accountId: bigint, field: AccountField, value: bigint): void {
    const at = this.#rowOf(accountId) * rowWords + offsets[field];
    this.#words[at] = value & low64;
    this.#words[at + 1] = value >> 64n;
  }

  /** Adds to a field. `change` may be negative; the field never is, because only what was reserved is released. */
  add(accountId: bigint, field: AccountField, change: bigint): void {
    this.set(accountId, field, this.get(accountId, field) + change);
  }

  #rowOf(accountId: bigint): number {
    const known = this.#rows.get(accountId);
    if (known !== undefined) return known;
    const row = this.#rows.size;
    this.#rows.set(accountId, row);
    if ((row + 1) * rowWords > this.#words.length) {
      const larger = new BigUint64Array(this.#words.length * 2);
      larger.set(this.#words);
      this.#words = larger;
    }
    return row;
  }
}
