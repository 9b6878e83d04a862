/** A column by which transfers are found: a slice of the packed row. */
export type TransferColumn = {
  readonly name: string;
  /** First byte in the row, and how many. */
  readonly offset: number;
  readonly bytes: number;
  /** Zero stands for "no value": such rows are not in the index. */
  readonly zeroIsNone: boolean;
  /** Whether sorting pays before rows go into the index: few values have few places to go to. */
  readonly manyValues: boolean;
};

/** The indexes of transfers, each a table `transfers_by_<name>`. */
export const TRANSFER_COLUMNS: readonly TransferColumn[] = [
  { name: "id", offset: 0, bytes: 16, zeroIsNone: false, manyValues: true },
  { name: "debit_account_id", offset: 16, bytes: 16, zeroIsNone: false, manyValues: true },
  { name: "credit_account_id", offset: 32, bytes: 16, zeroIsNone: false, manyValues: true },
  { name: "user_data_128", offset: 80, bytes: 16, zeroIsNone: true, manyValues: true },
  { name: "user_data_64", offset: 96, bytes: 8, zeroIsNone: true, manyValues: true },
  { name: "user_data_32", offset: 104, bytes: 4, zeroIsNone: true, manyValues: false },
  { name: "ledger", offset: 112, bytes: 4, zeroIsNone: false, manyValues: false },
  { name: "code", offset: 116, bytes: 2, zeroIsNone: false, manyValues: false },
];

/** The SQL expression that cuts a column out of a row. */
export function columnSql(column: TransferColumn): string {
  return `substr(row, ${column.offset + 1}, ${column.bytes})`;
}

/** The column of a name. */
export function columnNamed(name: string): TransferColumn {
  const column = TRANSFER_COLUMNS.find((candidate) => candidate.name === name);
  if (!column) throw new Error(`no transfer column ${name}`);
  return column;
}
