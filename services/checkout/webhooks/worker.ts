import type { CallLimit } from "#common/deadline.ts";
import { DomainError } from "#common/domain-error.ts";
import type { AttemptEnd, StoredWebhook, WebhookStore } from "./ports.ts";
import type { Processed } from "./process-event.ts";

export interface WebhookWorkerOptions {
  readonly store: Pick<WebhookStore, "claim" | "finish" | "release">;
  /** Throws what stopped it; then the event is tried again. */
  readonly process: (event: StoredWebhook, limit: CallLimit) => Promise<Processed>;
  /** Hears how every attempt ended, and what stopped it. */
  readonly onEnd: (event: StoredWebhook, end: AttemptEnd, error: unknown) => void;
  /** Hears that the records cannot be reached: what is due stays due. */
  readonly onError: (error: unknown) => void;
  readonly times?: Partial<WebhookTimes>;
}

/** Milliseconds, and counts. */
export interface WebhookTimes {
  /** Events in work at once. */
  readonly runningMax: number;
  /** How often it looks for what others have stored, or what is due again. */
  readonly pollMs: number;
  readonly attemptMs: number;
  /** Longer than an attempt may take: who holds it longer has died. */
  readonly leaseMs: number;
  /** The pause after the first failure; it doubles from attempt to attempt, up to the longest. */
  readonly firstDelayMs: number;
  readonly delayMsMax: number;
  readonly attemptsMax: number;
}

/** Twelve attempts in some 50 minutes: an outage of that length heals by itself. */
export const webhookTimes: WebhookTimes = {
  runningMax: 8,
  pollMs: 1_000,
  attemptMs: 20_000,
  leaseMs: 30_000,
  firstDelayMs: 2_000,
  delayMsMax: 900_000,
  attemptsMax: 12,
};

export interface WebhookWorker {
  /** Says that something is due, so that it is looked for at once. */
  wake(): void;
  /** Ends the attempts under way, takes them back, and stops. */
  stop(): Promise<void>;
}

/** Works off what is due, in any number of processes: none takes what another has. */
export function startWebhookWorker(options: WebhookWorkerOptions): WebhookWorker {
  const { store, onError } = options;
  const times = { ...webhookTimes, ...options.times };
  const stopping = new AbortController();
  const running = new Set<Promise<void>>();
  /** Resolved by whatever is a reason to look again. */
  let called = Promise.withResolvers<void>();
  const wake = () => called.resolve();
  let more = false;

  const start = (event: StoredWebhook) => {
    const attempt = runAttempt(options, times, event, stopping.signal)
      .catch(onError)
      .finally(() => {
        running.delete(attempt);
        if (more) wake();
      });
    running.add(attempt);
  };
  const work = async () => {
    while (!stopping.signal.aborted) {
      // Before it looks: what is stored from here on calls again.
      called = Promise.withResolvers();
      const free = times.runningMax - running.size;
      if (free > 0) {
        const claimed = await store.claim(free, times.leaseMs).catch((error: unknown) => {
          onError(error);
          return [];
        });
        // With all hands full something may have been left behind, for the first that is free.
        more = claimed.length === free;
        claimed.forEach(start);
      }
      await waitFor(called.promise, times.pollMs);
    }
    await Promise.all(running);
  };
  const worked = work();
  return {
    wake,
    async stop() {
      stopping.abort();
      wake();
      await worked;
    },
  };
}

async function waitFor(call: Promise<void>, ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([call, promise]);
  clearTimeout(timer);
}

/** Throws only what the records throw; the lease then gives the event back. */
async function runAttempt(
  { store, process, onEnd }: WebhookWorkerOptions,
  times: WebhookTimes,
  event: StoredWebhook,
  signal: AbortSignal,
): Promise<void> {
  let end: AttemptEnd;
  let cause: unknown;
  try {
    // Every attempt before this one began and did not end: whoever began it has died, perhaps of the event.
    if (event.attempts > times.attemptsMax) throw new Error("no attempt came to its end");
    end = { state: await process(event, { deadlineMs: Date.now() + times.attemptMs, signal }) };
  } catch (error) {
    if (signal.aborted) return store.release(event);
    cause = error;
    end = failedEnd(times, event.attempts, describeError(error));
  }
  await store.finish(event, end);
  onEnd(event, end, cause);
}

function failedEnd(times: WebhookTimes, attempts: number, lastError: string): AttemptEnd {
  if (attempts >= times.attemptsMax) return { state: "DEAD", lastError };
  return { state: "PENDING", lastError, delayMs: retryDelayMs(times, attempts, Math.random()) };
}

/** The pause after the attempt of that number, from 1 on: doubling, between 3/4 and 5/4 of it by `random`, 0 to 1. */
export function retryDelayMs(
  times: Pick<WebhookTimes, "firstDelayMs" | "delayMsMax">,
  attempts: number,
  random: number,
): number {
  const delayMs = Math.min(times.firstDelayMs * 2 ** (attempts - 1), times.delayMsMax);
  return Math.round(delayMs * (0.75 + random / 2));
}

const secrets = /\b[a-z]{2}_(?:test|live)_\w+|\bwhsec_[\w+/=]+|_secret_\w+/g;

/** What stopped an attempt, in words that may be kept: at most 512 characters of printable ASCII, and no secret. */
export function describeError(error: unknown): string {
  const name = error instanceof DomainError ? error.kind : error instanceof Error ? error.name : "";
  const message = error instanceof Error ? error.message : String(error);
  return `${name}: ${message}`
    .replace(secrets, "(hidden)")
    .replace(/[^ -~]/g, "?")
    .slice(0, 512);
}
