import type { Logger } from "#common/process/logger.ts";
import type { Call } from "../objects/call.ts";
import { isStoreAway, type Store } from "../objects/store.ts";
import type { Task } from "../objects/stored.ts";
import { finishCharge } from "./charges.ts";
import { finishProcessing } from "./confirm.ts";
import { failRefund, succeedRefund } from "./refunds.ts";

const tickMsMax = 60_000;
const againMsDefault = 1_000;

export interface LaterOptions {
  readonly store: Store;
  readonly logger: Logger;
  readonly nowMs: () => number;
  /** A call that no request made. */
  readonly newCall: () => Call;
  /** Called when something was done. */
  readonly onDone: () => void;
  /** How long until it tries again where the store could not be written, in milliseconds. Default: a second. */
  readonly againMs?: number;
}

/** Does what is due later: ends payments that are processing, and refunds. It is in the store, so a restart does it too. */
export function createLater(options: LaterOptions) {
  const { store, nowMs } = options;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  function wake(): void {
    clearTimeout(timer);
    if (stopped) return;
    const task = store.nextTask();
    if (task === undefined) return;
    timer = setTimeout(runDue, Math.min(Math.max(task.dueMs - nowMs(), 0), tickMsMax));
  }

  function runDue(): void {
    const task = store.nextTask();
    if (task !== undefined && task.dueMs <= nowMs() && !isDone(task)) {
      timer = setTimeout(runDue, options.againMs ?? againMsDefault);
      return;
    }
    wake();
  }

  /** Does a task. False if the store cannot be written just now, as on a full disk: then it is still to be done. */
  function isDone(task: Task): boolean {
    try {
      store.transaction(() => {
        store.removeTasks(task.object);
        perform(options.newCall(), task);
      });
      options.onDone();
    } catch (error) {
      options.logger.error({ err: error, kind: task.kind }, "what was due could not be done");
      if (isStoreAway(error)) return false;
      // It would fail the same way at every try, and hold up what comes after it.
      store.removeTasks(task.object);
    }
    return true;
  }

  return {
    wake,
    stop(): void {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

function perform(call: Call, task: Task): void {
  switch (task.kind) {
    case "book_charge":
      finishCharge(call, task.object);
      break;
    case "payment":
      finishProcessing(call, task.object);
      break;
    case "refund_succeeds":
      succeedRefund(call, task.object);
      break;
    case "refund_fails":
      failRefund(call, task.object, "lost_or_stolen_card");
      break;
    default:
      throw new Error(`nobody knows how to do ${task.kind}`);
  }
}
