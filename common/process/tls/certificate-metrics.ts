import { countFromZero, getMeter } from "../metrics.ts";

/** Counts what becomes of the certificates of a process, and tells when they expire. */
export interface ExpiryWatch {
  reloaded(): void;
  refused(): void;
  close(): void;
}

/** Several of a process, as where its clients have their own, are one certificate: the metric tells what expires first. */
const watched = new Set<() => number>();

let instruments: ReturnType<typeof createInstruments> | undefined;

function createInstruments() {
  const meter = getMeter("sovr.tls");
  const expiry = meter.createObservableGauge("tls_certificate_expiration_timestamp_seconds", {
    description: "When the certificate that this process shows expires, in seconds since 1970.",
    unit: "s",
  });
  expiry.addCallback((result) => {
    if (watched.size === 0) return;
    result.observe(Math.min(...[...watched].map((expiresMs) => expiresMs())) / 1_000);
  });
  return {
    reloads: countFromZero(
      meter,
      "tls_certificate_reloads",
      "Certificates that took the place of others, and those that were no good, so that the old one stayed.",
      [{ outcome: "used" }, { outcome: "refused" }],
    ),
    refused: countFromZero(
      meter,
      "tls_connections_refused",
      "Connections that were ended before anything was read: no or no good certificate (handshake), or one of a part that has no business here (caller).",
      [{ why: "handshake" }, { why: "caller" }],
    ),
  };
}

/** Registers what is told of TLS, in processes that have it. */
export function tlsInstruments() {
  instruments ??= createInstruments();
  return instruments;
}

/** Watches when a certificate expires. `expiresMs`: of the one in use, epoch milliseconds. */
export function watchExpiry(expiresMs: () => number): ExpiryWatch {
  const { reloads } = tlsInstruments();
  watched.add(expiresMs);
  return {
    reloaded: () => reloads.add(1, { outcome: "used" }),
    refused: () => reloads.add(1, { outcome: "refused" }),
    close: () => void watched.delete(expiresMs),
  };
}
