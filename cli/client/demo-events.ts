import { createClient } from "@connectrpc/connect";
import type { Event } from "#gen/sovr/eventstream/v1/event_pb.ts";
import { EventStreamService } from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { eventLines } from "./event-text.ts";
import type { MeshClient } from "./open-mesh.ts";

/** Prints a wallet's events as they arrive. */
export interface EventPrinter {
  /** Waits until the event of an intent was printed; fails after twenty seconds. */
  waitFor(intentId: string): Promise<void>;
  close(): Promise<void>;
}

const waitMsMax = 20_000;

/** Subscribes to a wallet's events. Resolves once the stream has opened, so that nothing after it is missed. */
export async function printEvents(mesh: MeshClient, wallet: string): Promise<EventPrinter> {
  const abort = new AbortController();
  const seen = new Set<string>();
  const waiting = new Map<string, () => void>();
  const opened = Promise.withResolvers<void>();
  const client = createClient(EventStreamService, mesh.transport);

  const read = async () => {
    const stream = client.subscribe({ filter: { wallets: [wallet] } }, { signal: abort.signal });
    for await (const { message } of stream) {
      if (message.case === "opened") opened.resolve();
      if (message.case !== "event") continue;
      console.log(describeEvent(message.value));
      seen.add(message.value.intentId);
      waiting.get(message.value.intentId)?.();
    }
  };
  const done = read().catch((error: unknown) => {
    if (!abort.signal.aborted) opened.reject(error);
  });
  await opened.promise;

  return {
    waitFor: async (intentId) => {
      if (seen.has(intentId)) return;
      const arrived = Promise.withResolvers<void>();
      waiting.set(intentId, arrived.resolve);
      const timer = setTimeout(
        () => arrived.reject(new Error(`no event of ${intentId} within ${waitMsMax} ms`)),
        waitMsMax,
      );
      try {
        await arrived.promise;
      } finally {
        clearTimeout(timer);
        waiting.delete(intentId);
      }
    },
    close: async () => {
      abort.abort();
      await done;
    },
  };
}

function describeEvent(event: Event): string {
  const committed = event.commitTime;
  const lagMs =
    committed === undefined
      ? 0
      : Date.now() - Number(committed.seconds) * 1_000 - committed.nanos / 1_000_000;
  const lines = [...eventLines(event), `(${lagMs.toFixed(1)} ms after its commit)`];
  return lines.map((line, index) => `${(index === 0 ? "⇢ " : "").padStart(15)}${line}`).join("\n");
}
