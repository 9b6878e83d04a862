import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";

const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });

/** The time of day. */
export function clockTime(ms: number): string {
  return clock.format(ms);
}

/** The time of day, with the day before it unless that is today. */
export function dayAndTime(ms: number): string {
  const today = day.format(Date.now()) === day.format(ms);
  return today ? clock.format(ms) : `${day.format(ms)}, ${clock.format(ms)}`;
}

/** An instant of the ledger's clock in full: the day, the time, and all nine digits of its second. */
export function exactTime(time: Timestamp): string {
  const ms = timestampMs(time);
  return `${day.format(ms)}, ${clock.format(ms)}.${String(time.nanos).padStart(9, "0")}`;
}
