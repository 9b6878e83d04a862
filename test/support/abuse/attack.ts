import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { AttackName } from "./attacks.ts";

export interface AttackOptions {
  readonly name: AttackName;
  /** Envoy, host:port. */
  readonly address: string;
  /** Of somebody who may read, subscribe and clear. */
  readonly token: string;
}

/** An attack that goes on until it is stopped. */
export interface Attack {
  /** What came back: how often each answer. */
  stop(): Promise<Readonly<Record<string, number>>>;
}

/** Starts an attack on a thread of its own, so that what it costs to attack delays no victim. Resolves when it is in full swing. */
export async function startAttack(options: AttackOptions): Promise<Attack> {
  const worker = new Worker(new URL("./attack-worker.ts", import.meta.url), {
    workerData: options,
  });
  await once(worker, "message");
  return {
    async stop() {
      const answered = once(worker, "message");
      worker.postMessage("stop");
      const [answers] = (await answered) as [Record<string, number>];
      await worker.terminate();
      return answers;
    },
  };
}
