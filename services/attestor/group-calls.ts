import { DomainError } from "#common/domain-error.ts";

export interface CallGroupOptions<Item, Result> {
  /** Does the work of many calls at once and returns their results in the items' order. */
  readonly run: (items: readonly Item[]) => Promise<readonly Result[]>;
  /** The most items in one run. */
  readonly itemsMax: number;
  /** The most runs at once: with 2 a run that hangs does not hold up the calls that come after it. */
  readonly runningMax: number;
  /** The most calls that may wait; one more is refused. */
  readonly waitingMax: number;
}

interface Waiting<Item, Result> {
  readonly item: Item;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Lets concurrent calls share one piece of work, such as a round trip and a commit: a call that finds room for a
 * run starts one, those that find none go together when a run returns. A run that fails fails its own
 * calls and no others. The returned function throws RATE_LIMITED when too many wait.
 */
export function groupCalls<Item, Result>(
  options: CallGroupOptions<Item, Result>,
): (item: Item) => Promise<Result> {
  let waiting: Waiting<Item, Result>[] = [];
  let running = 0;

  const runWaiting = async () => {
    running += 1;
    while (waiting.length > 0) {
      const group = waiting.slice(0, options.itemsMax);
      waiting = waiting.slice(options.itemsMax);
      await settle(group, options.run);
    }
    running -= 1;
  };

  return (item) => {
    if (waiting.length >= options.waitingMax) return Promise.reject(tooMany(options.waitingMax));
    return new Promise<Result>((resolve, reject) => {
      waiting.push({ item, resolve, reject });
      if (running < options.runningMax) void runWaiting();
    });
  };
}

async function settle<Item, Result>(
  group: readonly Waiting<Item, Result>[],
  run: (items: readonly Item[]) => Promise<readonly Result[]>,
): Promise<void> {
  try {
    const results = await run(group.map(({ item }) => item));
    if (results.length !== group.length) {
      throw new Error(`${group.length} calls were given ${results.length} results`);
    }
    for (const [index, result] of results.entries()) group[index]?.resolve(result);
  } catch (error) {
    for (const { reject } of group) reject(error);
  }
}

function tooMany(waitingMax: number): DomainError<"RATE_LIMITED"> {
  return new DomainError("RATE_LIMITED", "too many calls are waiting", {
    metadata: { limit: String(waitingMax), what: "calls waiting" },
    retryAfterMs: 1_000,
  });
}
