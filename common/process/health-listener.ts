import type { RequestListener } from "node:http";
import { metricsHandler } from "./metrics.ts";

export interface HealthListenerOptions {
  /** The name of the service, as the environment has it. */
  readonly service: string;
  /** True while the process should get requests. */
  readonly ready: () => boolean;
  /** How each thing that it needs stands, for people; any JSON. */
  readonly dependencies: () => readonly object[];
  /** When the certificate expires that it shows, epoch milliseconds; undefined: it shows none. */
  readonly certificateExpiresMs?: (() => number) | undefined;
}

/** Answers /metrics for Prometheus, and /healthz and /readyz for whatever speaks only HTTP. */
export function healthListener(options: HealthListenerOptions): RequestListener {
  const { service } = options;
  const metrics = metricsHandler();
  return (request, response) => {
    const path = request.url?.split("?", 1)[0] ?? "";
    if (path === "/metrics") return metrics(request, response);
    const ready = options.ready();
    const answers = new Map([
      ["/healthz", 200],
      ["/readyz", ready ? 200 : 503],
    ]);
    const status = answers.get(path) ?? 404;
    response.writeHead(status, { "content-type": "application/json" });
    const expiresMs = options.certificateExpiresMs?.();
    const certificateExpires = expiresMs === undefined ? {} : { certificateExpires: expiresMs };
    const body = { service, ready, dependencies: options.dependencies(), ...certificateExpires };
    response.end(status === 404 ? '{"error":"not found"}\n' : `${JSON.stringify(body)}\n`);
  };
}
