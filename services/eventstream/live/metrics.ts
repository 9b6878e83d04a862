import { formatDigestPrefix } from "#common/ledger/transfer-rows.ts";
import type { Logger } from "#common/process/logger.ts";
import { countFromZero, durationHistogram, getMeter } from "#common/process/metrics.ts";
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
  const failures = countFromZero(
    meter,
    "eventstream_round_failures",
    "Rounds that the ledger or the records did not let finish.",
  );
  const events = meter.createCounter("eventstream_events", {
    description: "Events read from the end of the ledger.",
  });
  const unattested = countFromZero(
    meter,
    "eventstream_unattested_events",
    "Events without evidence: someone wrote past Clearing.",
  );
  // A counter starts anew with its process; that something was found before the first scrape shows here.
  let newestSeconds = 0;
  meter
    .createObservableGauge("eventstream_newest_unattested_timestamp_seconds", {
      description:
        "When the newest event without evidence was committed, in Unix time; 0 for none.",
    })
    .addCallback((result) => result.observe(newestSeconds));
  let isFailing = false;
  return {
    unattested(event) {
      unattested.add(1);
      const seconds = Number(event.position.timestamp / 1_000_000n) / 1_000;
      newestSeconds = Math.max(newestSeconds, seconds);
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
      timestamp: transfer.timestamp.toString(),
      debitAccountId: formatU128(transfer.debitAccountId),
      creditAccountId: formatU128(transfer.creditAccountId),
      amount: transfer.amount.toString(),
      ledger: transfer.ledger,
      code: transfer.code,
      digestPrefix: formatDigestPrefix(transfer),
    })),
  };
}
