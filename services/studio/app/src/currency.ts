/** Everything is paid in dollars here: their ledger. */
export const usd = 1;
