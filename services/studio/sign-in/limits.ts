/** What of a sign-in is bounded, and at how much. */
export const signInLimits = {
  /** Texts that one wallet is given to sign in a minute, by each server. */
  challengesOfWallet: 60,
  /** Texts that all wallets are. */
  challenges: 600,
  /** Ways to the provider that are begun in a minute, by each server. */
  attempts: 600,
  /** Sessions of one subject at once; another one ends that which was not used for longest. */
  sessionsOfSubject: 10,
  /** How long somebody may take to sign, or to be at the provider. */
  answerMs: 300_000,
  /** How long a token is good for: as long as somebody who was put out may still act. */
  tokenMs: 300_000,
} as const;
