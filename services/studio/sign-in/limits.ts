/** What of a sign-in is bounded, and at how much. */
export const signInLimits = {
  /** Texts to sign that one address is given in a minute, by each server: nobody can use up those of others. */
  challengesOfAddress: 120,
  /** Ways to the provider that one address begins in a minute, by each server. */
  attemptsOfAddress: 120,
  /** Sessions of one subject at once; another one ends that which was not used for longest. */
  sessionsOfSubject: 10,
  /** How long somebody may take to sign, or to be at the provider. */
  answerMs: 300_000,
  /** How long a token is good for: as long as somebody who was put out may still act. */
  tokenMs: 300_000,
} as const;
