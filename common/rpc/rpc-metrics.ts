import { Code } from "@connectrpc/connect";
import type { Attributes, Histogram } from "@opentelemetry/api";
import { durationHistogram, getMeter } from "#common/process/metrics.ts";
import type { MethodPlan } from "./method-plan.ts";

/** The name of a status as gRPC writes it; undefined is success. */
export function codeName(code: Code | undefined): string {
  if (code === undefined) return "OK";
  const name = Code[code] ?? "Unknown";
  return name === "Canceled"
    ? "CANCELLED"
    : name.replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
}

/** How calls of a method may end. */
interface End {
  handled: number;
  readonly attributes: Attributes;
  /** Of the durations: without the reason, for each series of a histogram is many. */
  readonly timed: Attributes;
}

/** The counts of one method. Plain numbers on the hot path; OpenTelemetry reads them when it is scraped. */
export class MethodStats {
  started = 0;
  readonly #attributes: Attributes;
  readonly #duration: Histogram;
  /** By code and reason: a reason may have two codes, and what a library answers has no reason. */
  readonly #byEnd = new Map<string, End>();

  constructor(plan: MethodPlan, duration: Histogram) {
    this.#attributes = { service: plan.method.parent.typeName, method: plan.method.name };
    this.#duration = duration;
  }

  /** Counts the end of a call. `code` undefined is success; `reason`: one of the contract's, or "". */
  finish(code: Code | undefined, reason: string, durationMs: number): void {
    const end = `${code ?? ""} ${reason}`;
    let entry = this.#byEnd.get(end);
    if (entry === undefined) {
      const timed = { ...this.#attributes, code: codeName(code) };
      entry = { handled: 0, timed, attributes: { ...timed, reason } };
      this.#byEnd.set(end, entry);
    }
    entry.handled += 1;
    this.#duration.record(durationMs / 1_000, entry.timed);
  }

  /** Calls that have started and not ended. */
  get inFlight(): number {
    let handled = 0;
    for (const entry of this.#byEnd.values()) handled += entry.handled;
    return this.started - handled;
  }

  /** Hands every series to an observer. */
  observe(
    observe: (
      kind: "started" | "handled" | "inFlight",
      value: number,
      attributes: Attributes,
    ) => void,
  ): void {
    observe("started", this.started, this.#attributes);
    observe("inFlight", this.inFlight, this.#attributes);
    for (const entry of this.#byEnd.values()) observe("handled", entry.handled, entry.attributes);
  }
}

/** Makes the counts of the planned methods and registers them: rpc_started, rpc_handled, rpc_in_flight, rpc_duration_seconds. */
export function createMethodStats(
  plans: readonly MethodPlan[],
): ReadonlyMap<MethodPlan, MethodStats> {
  const meter = getMeter("sovr.rpc");
  const duration = durationHistogram(
    meter,
    "rpc_duration_seconds",
    "From a call's headers to its status.",
  );
  const stats = new Map(plans.map((plan) => [plan, new MethodStats(plan, duration)]));
  const instruments = {
    started: meter.createObservableCounter("rpc_started", { description: "Calls that arrived." }),
    handled: meter.createObservableCounter("rpc_handled", {
      description: "Calls that ended, by status and reason.",
    }),
    inFlight: meter.createObservableGauge("rpc_in_flight", { description: "Calls that run now." }),
  };
  meter.addBatchObservableCallback((result) => {
    for (const entry of stats.values()) {
      entry.observe((kind, value, attributes) =>
        result.observe(instruments[kind], value, attributes),
      );
    }
  }, Object.values(instruments));
  return stats;
}
