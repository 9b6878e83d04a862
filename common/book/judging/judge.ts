import type { Authority, RelatedIntents } from "#common/intent/authority.ts";
import type { Intent } from "#common/intent/intent.ts";
import type { Book } from "../book.ts";
import { chartOf } from "./chart-of.ts";
import { checkWay } from "./check-way.ts";
import { checkGivenBack, givesBack } from "./give-back.ts";
import { checkResolution, resolvesPending } from "./resolve.ts";
import { walkPostings } from "./walk.ts";

/** Judges intents by the rules of one version of a book. */
export interface Judge {
  /** The name of a rule; undefined for a code that is none's. */
  ruleName(code: number): string | undefined;
  /** True if the rules of the intent's postings need the intent that it corrects. */
  refersToCorrected(intent: Intent): boolean;
  /**
   * Checks an intent's postings against the chart and the rules, and tells whose authority it needs. Throws INVALID_FIELD,
   * POSTING_NOT_ALLOWED, LEDGERS_DIFFER, PENDING_NOT_FOUND, PENDING_AMOUNT_EXCEEDED.
   */
  checkPostings(intent: Intent, related: RelatedIntents): Authority;
  /**
   * Whose authority an intent needs; checkPostings answers the same. It needs no evidence and proves nothing about the
   * postings' sides. Throws POSTING_NOT_ALLOWED.
   */
  authorityOf(intent: Intent): Authority;
}

export function openJudge(book: Book): Judge {
  const chart = chartOf(book);
  const refersToCorrected = (intent: Intent) =>
    !resolvesPending(intent) && givesBack(chart, intent);
  const authorityOf = (intent: Intent): Authority =>
    resolvesPending(intent) ? { wallet: false, house: true } : walkPostings(chart, intent);
  return {
    ruleName: (code) => chart.rule(code)?.name,
    refersToCorrected,
    authorityOf,
    checkPostings(intent, related) {
      if (resolvesPending(intent)) checkResolution(intent, related.pending);
      else {
        for (const [index, posting] of intent.postings.entries())
          checkWay(chart, intent, posting, index);
        if (refersToCorrected(intent)) checkGivenBack(chart, intent, related.corrected);
      }
      return authorityOf(intent);
    },
  };
}
