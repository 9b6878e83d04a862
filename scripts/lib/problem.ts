/**
 * Something the user can put right. Its message is one line that names what is wrong and what to do; it is
 * all that a command prints.
 */
export class Problem extends Error {
  override readonly name = "Problem";
}

/** The text of any thrown value, on one line. */
export function describeError(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : String(error);
  return text.split("\n", 1)[0] ?? text;
}
