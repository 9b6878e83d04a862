/** What a wallet signs to be signed in: EIP-4361. */
export interface SignInMessage {
  /** Of the page that asks: "https://pay.example.com". */
  readonly origin: string;
  /** EIP-55. */
  readonly wallet: string;
  readonly chainId: bigint;
  /** 8 or more letters and digits. */
  readonly nonce: string;
  /** Epoch milliseconds. */
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
}

/**
 * The text of the message, which wallets know and show in a form of their own: they warn if the page that asks is of
 * another domain. It is made here alone and compared as a whole, so that nothing has to be read out of what comes back.
 */
export function signInText(message: SignInMessage): string {
  const { origin, wallet, chainId, nonce, issuedAtMs, expiresAtMs } = message;
  return [
    `${new URL(origin).host} wants you to sign in with your Ethereum account:`,
    wallet,
    "",
    "Sign in to SOVR Studio. This moves nothing.",
    "",
    `URI: ${origin}/`,
    "Version: 1",
    `Chain ID: ${chainId}`,
    `Nonce: ${nonce}`,
    `Issued At: ${new Date(issuedAtMs).toISOString()}`,
    `Expiration Time: ${new Date(expiresAtMs).toISOString()}`,
  ].join("\n");
}
