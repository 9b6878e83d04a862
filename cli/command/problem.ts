/**
 * Something the user can put right. Its message is one line that names what is wrong and what to do; it is
 * all that a command prints.
 */
export class Problem extends Error {
  override readonly name = "Problem";
}

/** The text of any thrown value, on one line; of a failed fetch the cause, which alone says why. */
export function describeError(error: unknown): string {
  const cause = error instanceof TypeError ? (error.cause ?? error) : error;
  const text = cause instanceof Error ? cause.message || cause.name : String(cause);
  return text.split("\n", 1)[0] ?? text;
}
