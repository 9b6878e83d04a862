import { DomainError, invalidField } from "#common/domain-error.ts";
import { beginning, endOf, type Position } from "#common/wire/cursor.ts";

/** Where a caller wants to start. */
export type StreamStart =
  | { readonly kind: "now" }
  | { readonly kind: "earliest" }
  | { readonly kind: "cursor"; readonly position: Position }
  /** The first event at or after an instant, in nanoseconds; negative ones are before everything. */
  | { readonly kind: "since"; readonly timestamp: bigint };

/** The place that a start names at a time of the ledger; undefined for now. Throws CURSOR_IN_FUTURE, INVALID_FIELD. */
export function startPosition(start: StreamStart, time: bigint): Position | undefined {
  switch (start.kind) {
    case "now":
      return undefined;
    case "earliest":
      return beginning;
    case "cursor":
      if (start.position.timestamp > time) {
        throw new DomainError("CURSOR_IN_FUTURE", "The cursor lies ahead of the ledger's time.", {
          metadata: {
            headTime: formatInstant(time),
            cursorTime: formatInstant(start.position.timestamp),
          },
        });
      }
      return start.position;
    case "since":
      if (start.timestamp > time) {
        throw invalidField("since_time", "time.future", "must not lie in the future");
      }
      return start.timestamp <= 1n ? beginning : endOf(start.timestamp - 1n);
  }
}

const nanosecondsPerSecond = 1_000_000_000n;

/** An instant as RFC 3339 text with nanoseconds. `timestamp`: u64 nanoseconds. */
function formatInstant(timestamp: bigint): string {
  const milliseconds = Number((timestamp / nanosecondsPerSecond) * 1_000n);
  const seconds = new Date(milliseconds).toISOString().slice(0, -".000Z".length);
  return `${seconds}.${(timestamp % nanosecondsPerSecond).toString().padStart(9, "0")}Z`;
}
