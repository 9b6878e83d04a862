import { setPriority } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import type { SignatureCounts } from "#common/intent/signature-metrics.ts";
import type { ThreadOrder, ThreadReport, ThreadStart } from "./messages.ts";

// One of the batch threads. Linux gives a priority to a thread, other systems to the process: there all stay equal.
if (process.platform === "linux") setPriority(10);
// Only now what takes half a second to load: the service answers single calls already.
const [
  { countingRecover },
  { onKeyFault },
  { createBatchThreadDeps },
  { createClearList },
  { createClearSlice },
  { readBatchJson, writeBatchJson },
  { ClearBatchRequestSchema, ClearBatchResponseSchema },
  { DomainError },
] = await Promise.all([
  import("#common/intent/signature-metrics.ts"),
  import("#common/rpc/key-faults.ts"),
  import("../deps.ts"),
  import("./clear-list.ts"),
  import("./clear-slice.ts"),
  import("#common/rpc/strict/batch-json.ts"),
  import("#gen/sovr/clearing/v1/clearing_service_pb.ts"),
  import("#common/domain-error.ts"),
]);

const tell = (report: ThreadReport, transfer: ArrayBuffer[] = []) =>
  parentPort?.postMessage(report, transfer);
const onFault = (error: unknown, message: string) => tell({ kind: "FAULT", error, message });
onKeyFault(({ text }) => onFault(new Error(text), "an error of a batch has other keys"));

let signatures: SignatureCounts = { somebody: 0, nobody: 0 };
/** True while single calls come. */
let gently = false;
/** Where every core is busy, who wakes up waits for milliseconds until the kernel interrupts the one that runs. */
const breakMs = 1;

const { config, sharedPort, cells, thread } = workerData as ThreadStart;
const deps = await createBatchThreadDeps(config, {
  sharedPort,
  cells,
  thread,
  onFault,
  onLedgerAnswer: (operation, events, durationMs) =>
    tell({ kind: "LEDGER_ANSWER", operation, events, durationMs }),
  onCommit: (timestamp) => tell({ kind: "COMMIT", timestamp }),
  recover: countingRecover(() => signatures),
});
const clearList = createClearList(deps.clearing, () => (gently ? sleep(breakMs) : undefined));
const clearSlice = createClearSlice({ clearList, clusterId: deps.clusterId, onFault });
const underWay = new Map<number, AbortController>();

parentPort?.on("message", (order: ThreadOrder) => {
  switch (order.kind) {
    case "SLICE":
      return void clear(order);
    case "READ_JSON":
    case "WRITE_JSON":
      return convert(order);
    case "ABANDON":
      return underWay.get(order.id)?.abort();
    case "CLOSE":
      return void close();
  }
});

async function clear(order: ThreadOrder & { kind: "SLICE" }): Promise<void> {
  const { id, caller, deadlineMs } = order;
  const left = new AbortController();
  underWay.set(id, left);
  gently = order.gently;
  try {
    const answer = await clearSlice(order.bytes, caller, { deadlineMs, signal: left.signal });
    const bytes = new Uint8Array(answer);
    tell({ kind: "CLEARED", id, bytes, signatures }, [bytes.buffer]);
    signatures = { somebody: 0, nobody: 0 };
  } catch (error) {
    tell({ kind: "FAILED", id, error });
  } finally {
    underWay.delete(id);
  }
}

/** A request of 16 MiB takes a thread half a second, which single calls do not have to wait for. */
function convert({ kind, id, bytes }: ThreadOrder & { kind: "READ_JSON" | "WRITE_JSON" }): void {
  try {
    const converted =
      kind === "READ_JSON"
        ? readBatchJson(ClearBatchRequestSchema, bytes)
        : writeBatchJson(ClearBatchResponseSchema, bytes);
    const answer = new Uint8Array(converted);
    tell({ kind: "JSON", id, bytes: answer }, [answer.buffer]);
  } catch (error) {
    if (!(error instanceof DomainError) || error.kind !== "INVALID_FIELD") {
      tell({ kind: "FAILED", id, error });
      return;
    }
    const { message, metadata, violations } = error;
    tell({ kind: "REFUSED", id, message, metadata, violations });
  }
}

/** The thread ends by itself when nothing is open any more. */
async function close(): Promise<void> {
  for (const left of underWay.values()) left.abort();
  await deps.close();
  parentPort?.close();
}
