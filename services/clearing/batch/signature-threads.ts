import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { recoverAddress } from "#common/intent/signature.ts";
import {
  lastMessage,
  packItems,
  type SignatureMessage,
  type SignedDigest,
  unpackAddresses,
} from "./signature-message.ts";

/** Threads that recover addresses, so that the event loop need not. */
export interface SignatureThreads {
  readonly count: number;
  /** As recoverAddress, for many at once. Never rejects: what no thread answers is recovered here. */
  recover(items: readonly SignedDigest[]): Promise<readonly (string | undefined)[]>;
  close(): Promise<void>;
}

interface Waiting {
  readonly items: readonly SignedDigest[];
  readonly resolve: (addresses: readonly (string | undefined)[]) => void;
}

/** Starts `count` threads, 1 or more. They keep no process alive. */
export function startSignatureThreads(count: number): SignatureThreads {
  const threads = Array.from({ length: count }, startThread);
  let next = 0;
  return {
    count,
    recover: (items) => {
      const thread = threads[next++ % threads.length];
      return thread === undefined ? Promise.resolve(recoverHere(items)) : thread.recover(items);
    },
    close: async () => {
      await Promise.all(threads.map((thread) => thread.close()));
    },
  };
}

/** A thread holds a few messages at a time and needs no room to grow. What exceeds this ends it, and is done here. */
const resourceLimits = { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 128 };

/** How long a thread is waited for that ends by itself, in milliseconds: one that still loads, on a busy machine. */
const closeMs = 20_000;

function startThread() {
  const worker = new Worker(new URL("./signature-worker.ts", import.meta.url), { resourceLimits });
  worker.unref();
  const waiting = new Map<number, Waiting>();
  let next = 0;
  let gone = false;
  worker.on("message", ({ id, bytes }: SignatureMessage) => {
    waiting.get(id)?.resolve(unpackAddresses(bytes));
    waiting.delete(id);
  });
  // A thread ends when it is closed, or when it can get no memory. What it leaves is done here, more slowly.
  worker.on("error", () => undefined);
  const exited = new Promise<void>((resolve) => {
    worker.on("exit", () => {
      gone = true;
      for (const { items, resolve: answer } of waiting.values()) answer(recoverHere(items));
      waiting.clear();
      resolve();
    });
  });
  return {
    recover: (items: readonly SignedDigest[]): Promise<readonly (string | undefined)[]> => {
      if (gone) return Promise.resolve(recoverHere(items));
      return new Promise((resolve) => {
        const message: SignatureMessage = { id: next++, bytes: packItems(items) };
        waiting.set(message.id, { items, resolve });
        worker.postMessage(message, [message.bytes.buffer]);
      });
    },
    // It ends by itself, and is never cut off: while it loads the native library that takes the process with it (SIGABRT).
    close: async () => {
      worker.postMessage(lastMessage);
      const waited = new AbortController();
      await Promise.race([exited, sleep(closeMs, undefined, { signal: waited.signal })]);
      waited.abort();
    },
  };
}

function recoverHere(items: readonly SignedDigest[]): (string | undefined)[] {
  return items.map(({ digest, signature }) => recoverAddress(digest, signature));
}
