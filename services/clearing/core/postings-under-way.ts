import { DomainError } from "#common/domain-error.ts";

/**
 * Counts postings as under way, until what it returns was told of each of them, at once or in parts, that it has ended.
 * Throws RATE_LIMITED, and counts nothing, if there would be too many. What comes alone is never too many.
 */
export type ReservePostings = (postings: number) => (ended: number) => void;

/** Eight full batches. */
export const postingsUnderWayMax = 65_536;

/** Of all calls together; none is under way yet. */
export function limitPostingsUnderWay(): ReservePostings {
  let underWay = 0;
  return (postings) => {
    if (underWay > 0 && underWay + postings > postingsUnderWayMax) {
      throw new DomainError("RATE_LIMITED", "too many postings are under way", {
        metadata: { limit: String(postingsUnderWayMax), what: "calls" },
        retryAfterMs: 200,
      });
    }
    underWay += postings;
    return (ended) => {
      underWay -= ended;
    };
  };
}
