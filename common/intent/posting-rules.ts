import { defaultBook } from "#common/book/default-book.ts";
import { openJudge } from "#common/book/judging/judge.ts";

export { resolvesPending as refersToPending } from "#common/book/judging/resolve.ts";
export type { Authority, RelatedIntents } from "./authority.ts";

/**
 * The rules of the business that the mesh runs, as its book says them. The Attestor checks postings before it signs, and
 * Clearing again before it posts.
 */
export const {
  checkPostings,
  authorityOf,
  refersToCorrected,
  ruleName: postingName,
} = openJudge(defaultBook);
