import type { IncomingMessage, ServerResponse } from "node:http";
import {
  type Attributes,
  type Counter,
  type Histogram,
  type Meter,
  metrics,
} from "@opentelemetry/api";
import { PrometheusExporter } from "@opentelemetry/exporter-prometheus";
import { MeterProvider } from "@opentelemetry/sdk-metrics";

/** Upper bounds in seconds: 1 ms is a cached read, 10 s the longest unary call without a deadline of its own. */
export const durationBucketsSeconds = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

/** Answers a scrape with all metrics of the process, in the text format of Prometheus. */
export type MetricsHandler = (request: IncomingMessage, response: ServerResponse) => void;

let handler: MetricsHandler | undefined;

/**
 * Starts collecting, once a process. OpenTelemetry's registry is global by design, and instruments that are made
 * before it exists stay silent for ever; so whoever asks for a meter or the handler brings it up.
 */
export function metricsHandler(): MetricsHandler {
  if (handler !== undefined) return handler;
  const exporter = new PrometheusExporter({
    preventServerStart: true,
    withoutScopeInfo: true,
    withoutTargetInfo: true,
  });
  metrics.setGlobalMeterProvider(new MeterProvider({ readers: [exporter] }));
  handler = (request, response) => exporter.getMetricsRequestHandler(request, response);
  return handler;
}

/** The meter for a part of the mesh, such as "sovr.tigerbeetle". */
export function getMeter(name: string): Meter {
  metricsHandler();
  return metrics.getMeter(name);
}

/** A histogram of durations with the mesh's buckets. Record seconds; the name ends in `_seconds`. */
export function durationHistogram(meter: Meter, name: string, description: string): Histogram {
  return meter.createHistogram(name, {
    description,
    unit: "s",
    advice: { explicitBucketBoundaries: durationBucketsSeconds },
  });
}

/**
 * A counter that is there, at 0, before it counts anything: in Prometheus a series that appears at 1 has not increased,
 * so an alarm over a counter's increase would miss its first occurrence. `series`: the attributes it will count by.
 */
export function countFromZero(
  meter: Meter,
  name: string,
  description: string,
  series: readonly Attributes[] = [{}],
): Counter {
  const counter = meter.createCounter(name, { description });
  for (const attributes of series) counter.add(0, attributes);
  return counter;
}
