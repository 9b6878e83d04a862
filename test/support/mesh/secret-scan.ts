/** A text that looks like a secret. */
export interface Suspect {
  /** Which of the shapes it has. */
  readonly shape: string;
  /** 1-based. */
  readonly line: number;
  /** How it begins: enough to find it, too little to use it. */
  readonly begins: string;
}

interface Shape {
  readonly name: string;
  readonly pattern: RegExp;
  /** The group `secret` of the pattern must be as random as this, in bits a character. */
  readonly entropyMin: number;
}

/** What a program drew has more; words and repetitions have less. */
const drawn = 3.4;

/** Keys as those who give them out shape them. */
const shapes: readonly Shape[] = [
  shape("Stripe secret key", /\bsk_(?:live|test)_(?<secret>\w{16,})/g),
  shape("Stripe restricted key", /\brk_(?:live|test)_(?<secret>\w{16,})/g),
  shape("Stripe webhook secret", /\bwhsec_(?<secret>[\w+/=]{16,})/g),
  shape("AWS access key", /\b(?<secret>(?:AKIA|ASIA)[0-9A-Z]{16})\b/g, 3),
  shape("GitHub token", /\b(?:gh[pousr]|github_pat)_(?<secret>\w{20,})/g),
  shape("Slack token", /\bxox[abeprs]-(?<secret>[\w-]{16,})/g),
  shape("Google API key", /\bAIza(?<secret>[\w-]{35})/g),
  shape("npm token", /\bnpm_(?<secret>\w{30,})/g),
  shape("JWT", /\b(?<secret>eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,})/g),
  shape("private key, PEM", /-----BEGIN [A-Z ]*PRIVATE KEY-----\s*(?<secret>[\w+/=]{32,})/g),
  shape("private key, JWK", /["']?\bd["']?\s*:\s*["'](?<secret>[\w-]{42,})["']/g),
  shape("32 bytes as hex", /(?<![0-9a-z])(?:0x)?(?<secret>[0-9a-f]{64})(?![0-9a-z])/gi, 3),
];

function shape(name: string, pattern: RegExp, entropyMin = drawn): Shape {
  return { name, pattern, entropyMin };
}

/** Everything in a text that is shaped like a secret and random enough to be one. */
export function findSuspects(text: string): Suspect[] {
  return shapes.flatMap(({ name, pattern, entropyMin }) =>
    [...text.matchAll(pattern)]
      .filter(({ groups }) => entropyOf(groups?.["secret"] ?? "") >= entropyMin)
      .map(({ 0: found, index }) => ({
        shape: name,
        line: text.slice(0, index).split("\n").length,
        begins: `${found.slice(0, 12)}…`,
      })),
  );
}

/** Shannon's, of the characters as they are, in bits a character. */
function entropyOf(text: string): number {
  const counts = new Map<string, number>();
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1);
  return [...counts.values()].reduce((sum, count) => {
    const share = count / text.length;
    return sum - share * Math.log2(share);
  }, 0);
}
