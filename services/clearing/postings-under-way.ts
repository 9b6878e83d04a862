import { DomainError } from "#common/domain-error.ts";

/** How many postings are under way, in all calls together. */
export interface PostingsUnderWay {
  /** Throws RATE_LIMITED, and adds nothing, if there would be too many. What comes alone is never too many. */
  add(postings: number): void;
  remove(postings: number): void;
}

/** Eight full batches. */
const postingsUnderWayMax = 65_536;

/** None yet. */
export function createPostingsUnderWay(): PostingsUnderWay {
  let underWay = 0;
  return {
    add: (postings) => {
      if (underWay > 0 && underWay + postings > postingsUnderWayMax) {
        throw new DomainError("RATE_LIMITED", "too many postings are under way", {
          metadata: { limit: String(postingsUnderWayMax), what: "calls" },
          retryAfterMs: 200,
        });
      }
      underWay += postings;
    },
    remove: (postings) => {
      underWay -= postings;
    },
  };
}
