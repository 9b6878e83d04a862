/**
 * TigerBeetle's flags, written down here so that the worker does not load the native client.
 * A test compares every one of them with the enumerations that tigerbeetle-node exports.
 */
export const ACCOUNT_FLAG = {
  linked: 1,
  debitsMustNotExceedCredits: 2,
  creditsMustNotExceedDebits: 4,
  history: 8,
  imported: 16,
  closed: 32,
  all: 63,
} as const;

export const TRANSFER_FLAG = {
  linked: 1,
  pending: 2,
  postPending: 4,
  voidPending: 8,
  balancingDebit: 16,
  balancingCredit: 32,
  closingDebit: 64,
  closingCredit: 128,
  imported: 256,
  all: 511,
} as const;

export const FILTER_FLAG = {
  accountDebits: 1,
  accountCredits: 2,
  accountReversed: 4,
  accountAll: 7,
  queryReversed: 1,
  queryAll: 1,
} as const;
