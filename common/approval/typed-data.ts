/** The EIP-712 types of an approval, in the order that is hashed, without EIP712Domain. */
export const approvalTypes = {
  Approval: [
    { name: "intentDigest", type: "bytes32" },
    { name: "decision", type: "string" },
    { name: "issuedAt", type: "uint64" },
    { name: "expiresAt", type: "uint64" },
  ],
} as const;
