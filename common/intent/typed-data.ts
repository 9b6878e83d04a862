/** The EIP-712 types of an intent, in the order that is hashed, without EIP712Domain. */
export const intentTypes = {
  ClearingIntent: [
    { name: "intentId", type: "string" },
    { name: "phase", type: "string" },
    { name: "wallet", type: "address" },
    { name: "merchantId", type: "string" },
    { name: "reference", type: "string" },
    { name: "postings", type: "Posting[]" },
    { name: "corrects", type: "bytes32" },
    { name: "pendingIntentId", type: "string" },
    { name: "timeoutSeconds", type: "uint32" },
    { name: "issuedAt", type: "uint64" },
    { name: "expiresAt", type: "uint64" },
  ],
  Posting: [
    { name: "debitAccountId", type: "uint128" },
    { name: "creditAccountId", type: "uint128" },
    { name: "amount", type: "uint128" },
    { name: "ledger", type: "uint32" },
    { name: "code", type: "uint16" },
  ],
} as const;
