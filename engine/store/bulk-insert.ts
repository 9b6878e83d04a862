import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";

/** Rows per statement: half of what a statement costs is paid per run, not per row. */
const ROWS_PER_RUN = 16;

/** Inserts rows many at a time. Values must stay unchanged until `flush`. */
export class BulkInsert {
  readonly #many: StatementSync;
  readonly #one: StatementSync;
  readonly #columns: number;
  readonly #values: SQLInputValue[] = [];

  /** `into` is the statement up to VALUES, for a row of so many columns. */
  constructor(db: DatabaseSync, into: string, columns: number) {
    const row = `(${Array.from({ length: columns }, () => "?").join(", ")})`;
    this.#one = db.prepare(`${into} VALUES ${row}`);
    this.#many = db.prepare(
      `${into} VALUES ${Array.from({ length: ROWS_PER_RUN }, () => row).join(", ")}`,
    );
    this.#columns = columns;
  }

  /** Adds the values of one row. */
  add(...row: SQLInputValue[]): void {
    for (const value of row) this.#values.push(value);
    if (this.#values.length < ROWS_PER_RUN * this.#columns) return;
    this.#many.run(...this.#values);
    this.#values.length = 0;
  }

  /** Inserts what is left; must be called before the transaction ends. */
  flush(): void {
    for (let i = 0; i < this.#values.length; i += this.#columns) {
      this.#one.run(...this.#values.slice(i, i + this.#columns));
    }
    this.#values.length = 0;
  }

  /** Forgets what was added, after a rollback. */
  clear(): void {
    this.#values.length = 0;
  }
}
