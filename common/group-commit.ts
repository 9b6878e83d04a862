import { DomainError } from "./domain-error.ts";

/** One of many that want to share a run. A caller that never gives up needs none. */
export interface GroupMember {
  /** True once its caller has stopped waiting. */
  readonly abandoned: boolean;
  /** True once something that may change the ledger was handed over for it. */
  sent: boolean;
  /** Takes it out of the queue in which it waits. */
  leaveQueue: (() => void) | undefined;
}

export interface GroupCommitOptions<Item, Result> {
  /** Does the work of many calls at once and returns their results in the items' order. */
  readonly run: (items: readonly Item[]) => Promise<readonly Result[]>;
  /** What an item counts, 1 or more, by default 1; the items of one run weigh at most `weightMax` together. */
  readonly weigh?: (item: Item) => number;
  readonly weightMax: number;
  /** The most runs at once. With 2 the next is on its way when one returns, and one that hangs is not the end. */
  readonly runningMax: number;
  /** The most items that may wait; one more is refused with RATE_LIMITED. */
  readonly waitingMax: number;
  /** True if a run may change the ledger: from then on a member's outcome may be unknown. By default false. */
  readonly sends?: boolean;
  /** True if a run that fails may be repeated in halves, so that one bad item does not fail its neighbours. By default false. */
  readonly divisible?: boolean;
}

interface Waiting<Item, Result> {
  readonly item: Item;
  readonly member: GroupMember | undefined;
  readonly weight: number;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

export interface Submit<Item, Result> {
  /** Hands an item over. A member waits in one queue at a time. */
  (item: Item, member?: GroupMember): Promise<Result>;
  /** Refuses all that wait, and so were not sent. What runs goes on. */
  refuseWaiting(refusal: Error): void;
}

/**
 * Lets concurrent calls share round trips and commits: what comes while nothing runs goes at once, together with
 * all that came in the same turn of the event loop; what comes later goes together when a run returns.
 */
export function groupCommit<Item, Result>(
  options: GroupCommitOptions<Item, Result>,
): Submit<Item, Result> {
  const { weigh = () => 1 } = options;
  const waiting = new Set<Waiting<Item, Result>>();
  let running = 0;
  let scheduled = false;

  const schedule = () => {
    if (scheduled || running >= options.runningMax || waiting.size === 0) return;
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      running += 1;
      void settle(takeGroup(waiting, options), options).then(() => {
        running -= 1;
        schedule();
      });
      schedule();
    });
  };

  const submit = (item: Item, member?: GroupMember) => {
    if (member?.abandoned === true) return Promise.reject(abandoned());
    if (waiting.size >= options.waitingMax) return Promise.reject(tooMany(options.waitingMax));
    return new Promise<Result>((resolve, reject) => {
      const entry = { item, member, weight: weigh(item), resolve, reject };
      waiting.add(entry);
      if (member !== undefined) {
        member.leaveQueue = () => {
          if (waiting.delete(entry)) reject(abandoned());
        };
      }
      schedule();
    });
  };
  const refuseWaiting = (refusal: Error) => {
    for (const { member, reject } of waiting) {
      if (member !== undefined) member.leaveQueue = undefined;
      reject(refusal);
    }
    waiting.clear();
  };
  return Object.assign(submit, { refuseWaiting });
}

/** The oldest that weigh no more than a run may; at least one. */
function takeGroup<Item, Result>(
  waiting: Set<Waiting<Item, Result>>,
  options: GroupCommitOptions<Item, Result>,
): Waiting<Item, Result>[] {
  const group: Waiting<Item, Result>[] = [];
  let weight = 0;
  for (const entry of waiting) {
    weight += entry.weight;
    if (group.length > 0 && weight > options.weightMax) break;
    waiting.delete(entry);
    if (entry.member !== undefined) {
      entry.member.leaveQueue = undefined;
      if (options.sends === true) entry.member.sent = true;
    }
    group.push(entry);
  }
  return group;
}

/** Never rejects: every entry learns its own end. The depth of the recursion is the logarithm of the group's size. */
async function settle<Item, Result>(
  group: readonly Waiting<Item, Result>[],
  options: GroupCommitOptions<Item, Result>,
): Promise<void> {
  if (group.length === 0) return;
  try {
    const results = await options.run(group.map(({ item }) => item));
    if (results.length !== group.length) {
      throw new Error(`${group.length} items were given ${results.length} results`);
    }
    for (const [index, result] of results.entries()) group[index]?.resolve(result);
  } catch (error) {
    // A DomainError, such as RECORDS_UNAVAILABLE, holds for all of them; anything else may be one item's fault.
    if (options.divisible !== true || group.length === 1 || error instanceof DomainError) {
      for (const entry of group) entry.reject(error);
      return;
    }
    const middle = group.length >>> 1;
    await settle(group.slice(0, middle), options);
    await settle(group.slice(middle), options);
  }
}

function abandoned(): DomainError<"NOT_SENT"> {
  return new DomainError("NOT_SENT", "the call was over before this was sent");
}

function tooMany(waitingMax: number): DomainError<"RATE_LIMITED"> {
  return new DomainError("RATE_LIMITED", "too many calls are waiting", {
    metadata: { limit: String(waitingMax), what: "calls" },
    retryAfterMs: 500,
  });
}
