/** The numbers of the posting rules: a transfer's `code` in TigerBeetle. */
export const postingCodes = {
  FUNDING: 1,
  PURCHASE: 2,
  FULFILMENT: 3,
  AGENT_PAYOUT: 4,
  REFUND: 5,
  WALLET_TRANSFER: 6,
  TOKEN_MINT: 7,
  TOKEN_BURN: 8,
  ADJUSTMENT: 9,
  STRIPE_PAYOUT: 10,
  STRIPE_FEE: 11,
  DISPUTE_OPENED: 12,
  DISPUTE_WON: 13,
} as const;
