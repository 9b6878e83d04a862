import { isDeepStrictEqual } from "node:util";
import type { Caller } from "#common/caller.ts";
import { type CallLimit, raceDeadline } from "#common/deadline.ts";
import { asError } from "#common/domain-error.ts";
import { Attempt, isOver } from "../core/attempt.ts";
import type { Clearing, ClearRequest } from "../core/clearing.ts";
import type { ClearingHouse } from "../core/house.ts";
import { lateRefusal, notSent } from "../core/refusals.ts";

/** A clearing, or why there is none: a DomainError, or any other Error for a fault of ours. */
export type ClearResult = Clearing | Error;

/**
 * Clears intents, each for itself, under one limit, and answers in their order. It never outlasts the limit: what is not
 * finished then is NOT_SENT or OUTCOME_UNKNOWN. Throws RATE_LIMITED, and clears none, if too much is under way already.
 */
export type ClearList = (
  requests: readonly ClearRequest[],
  caller: Caller,
  limit: CallLimit,
) => Promise<readonly ClearResult[]>;

/** A request on its way. */
interface Way {
  readonly request: ClearRequest;
  readonly attempt: Attempt;
  /** Set when it has ended, even if that is too late. */
  result: ClearResult | undefined;
}

/** How many intents of a list set out before others get their turn: one or two milliseconds of work. */
const turnIntents = 16;

/** Clears lists on a clearing house. `giveWay`: lets others have their turn; undefined: nobody wants it. */
export function createClearList(
  clearing: Pick<ClearingHouse, "reserve" | "clearIn">,
  giveWay: () => Promise<void> | undefined,
): ClearList {
  return async (requests, caller, limit) => {
    const ended = clearing.reserve(requests.reduce((sum, each) => sum + postingsOf(each), 0));
    /** Of the requests that have set out, in their order. */
    const ways: Way[] = [];
    let timeIsOver = isOver(limit);

    const go = async (way: Way) => {
      const { attempt, request } = way;
      try {
        way.result = await clearing.clearIn(attempt, request, caller);
      } catch (error) {
        way.result = asError(error);
      }
      ended(postingsOf(request));
    };
    const clearAll = async () => {
      const firsts = new Map<string, Way>();
      const ends: Promise<void>[] = [];
      for (const request of requests) {
        if (timeIsOver) return;
        const { digest } = request.attestation;
        const first = firsts.get(digest);
        if (first !== undefined && isDeepStrictEqual(first.request, request)) {
          // An intent that stands in the list twice goes its way once, and so it counts once.
          ways.push(first);
          ended(postingsOf(request));
        } else {
          const way = { request, attempt: new Attempt(), result: undefined };
          if (first === undefined) firsts.set(digest, way);
          ways.push(way);
          ends.push(go(way));
        }
        if (ways.length % turnIntents === 0) await giveWay();
      }
      await Promise.all(ends);
    };

    await raceDeadline(clearAll(), limit, () => late).catch(unlessLate);
    timeIsOver = true;
    // What is still under way ends by itself, and its result is dropped.
    for (const { attempt } of ways) attempt.abandon();
    for (const request of requests.slice(ways.length)) ended(postingsOf(request));
    return requests.map(({ intent: { intentId } }, index) => {
      const way = ways[index];
      return way === undefined
        ? notSent(intentId)
        : (way.result ?? lateRefusal(intentId, way.attempt));
    });
  };
}

const late = new Error("the time of a list is over");

function unlessLate(error: unknown): void {
  if (error !== late) throw error;
}

function postingsOf({ intent }: ClearRequest): number {
  return intent.postings.length;
}
