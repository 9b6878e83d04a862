import { type CallLimit, raceDeadline } from "#common/deadline.ts";
import type { DomainError } from "#common/domain-error.ts";
import type { GroupMember } from "#common/group-commit.ts";

/**
 * One intent's way through one call. The call may give it up when its time is over: what waits in a queue then
 * leaves it, and nothing more is sent for it. That is what makes NOT_SENT true.
 */
export class Attempt implements GroupMember {
  /** True once something that may change the ledger was handed to it; false again only if it says that it took nothing. */
  sent = false;
  /** True once the call has stopped waiting. */
  abandoned = false;
  /** A refusal that is already certain, while the rest (such as recording it) goes on. */
  refusal: DomainError | undefined;
  /** Takes the attempt out of the queue in which it waits. */
  leaveQueue: (() => void) | undefined;

  abandon(): void {
    this.abandoned = true;
    this.leaveQueue?.();
  }
}

/** True if nobody waits for an answer any more. */
export function isOver({ deadlineMs, signal }: CallLimit): boolean {
  return signal?.aborted === true || Date.now() >= deadlineMs;
}

/**
 * Does a call's work, and never outlasts its limit: then the attempt is given up, `late` says what is known of it, and
 * the work ends by itself; its result is dropped.
 */
export async function withinLimit<T>(
  limit: CallLimit,
  work: (attempt: Attempt) => Promise<T>,
  late: (attempt: Attempt) => Error,
): Promise<T> {
  const attempt = new Attempt();
  try {
    return await raceDeadline(work(attempt), limit, () => late(attempt));
  } finally {
    attempt.abandon();
  }
}
