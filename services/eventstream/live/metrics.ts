import { formatDigestPrefix } from "#common/ledger/transfer-rows.ts";
import type { Logger } from "#common/process/logger.ts";
import { durationHistogram, getMeter } from "#common/process/metrics.ts";
import { formatU128 } from "#common/u128.ts";
import type { StreamEvent } from "../read/event.ts";
import type { Hub, HubObserver } from "./hub.ts";

/** Counts what the stream does, and raises the alarm over what nobody attested. */
export function createHubObserver(logger: Logger): HubObserver {
  const meter = getMeter("sovr.eventstream");
  const rounds = durationHistogram(
    meter,
    "eventstream_round_seconds",
    "One round over the ledger.",
  );
  const failures = meter.createCounter("eventstream_round_failures", {
    description: "Rounds that the ledger or the records did not let finish.",
  });
  const events = meter.createCounter("eventstream_events", {
    description: "Events read from the end of the ledger.",
  });
  const unattested = meter.createCounter("eventstream_unattested_events", {
    description: "Events without evidence: someone wrote past Clearing.",
  });
  let isFailing = false;
  return {
    unattested(event) {
      unattested.add(1);
      logger.error(describe(event), "an event is not attested: someone wrote past Clearing");
    },
    roundDone(durationMs, count) {
      rounds.record(durationMs / 1_000);
      if (count > 0) events.add(count);
      if (isFailing) logger.info("reads the ledger again");
      isFailing = false;
    },
    roundFailed(error) {
      failures.add(1);
      if (!isFailing) logger.warn({ err: error }, "cannot read the ledger; will try again");
      isFailing = true;
    },
  };
}

/** What there is to see of a process's streams. */
export interface StreamCounts {
  /** Those who listen. */
  readonly subscribers: number;
  /** Those who read past events right now. */
  readonly readers: number;
  readonly hub: Hub;
}

/** Shows how many listen, and what is kept in memory for them. */
export function observeStream(stream: StreamCounts): void {
  const meter = getMeter("sovr.eventstream");
  meter
    .createObservableGauge("eventstream_subscribers", { description: "Open streams." })
    .addCallback((result) => result.observe(stream.subscribers));
  meter
    .createObservableGauge("eventstream_readers", {
      description: "Streams that read past events right now.",
    })
    .addCallback((result) => result.observe(stream.readers));
  meter
    .createObservableGauge("eventstream_ring_events", { description: "Events kept in memory." })
    .addCallback((result) => result.observe(stream.hub.ring.size));
  meter
    .createObservableGauge("eventstream_open_reservations", {
      description: "Legs of reservations whose expiry is awaited.",
    })
    .addCallback((result) => result.observe(stream.hub.openLegs));
}

function describe(event: StreamEvent) {
  return {
    type: event.type,
    timestamp: event.position.timestamp.toString(),
    transfers: event.transfers.slice(0, 8).map((transfer) => ({
      transferId: formatU128(transfer.id),
      digestPrefix: formatDigestPrefix(transfer),
    })),
  };
}
