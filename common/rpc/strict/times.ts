/** The first second of the year 1 and the last of the year 9999: what a Timestamp may say. */
const timestampSecondsMin = -62_135_596_800;
const timestampSecondsMax = 253_402_300_799;
/** 10,000 years: what a Duration may say, either way. */
const durationSecondsMax = 315_576_000_000;
const nanosMax = 999_999_999;

/** True for an instant that google.protobuf.Timestamp allows. Out of range, `seconds` may be rounded. */
export function isTimestampValue(seconds: number, nanos: number): boolean {
  return (
    seconds >= timestampSecondsMin &&
    seconds <= timestampSecondsMax &&
    nanos >= 0 &&
    nanos <= nanosMax
  );
}

/** True for what google.protobuf.Duration allows: both parts have one sign. */
export function isDurationValue(seconds: number, nanos: number): boolean {
  const oneSign = seconds === 0 || nanos === 0 || seconds > 0 === nanos > 0;
  return oneSign && Math.abs(seconds) <= durationSecondsMax && Math.abs(nanos) <= nanosMax;
}

const timestamp =
  /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.\d{1,9})?(?:Z|[+-](\d{2}):(\d{2}))$/;

/**
 * True for an instant as RFC 3339 and the JSON of protobuf write it: a day that its month has, an hour up to 23, a second
 * up to 59 (a leap second is no instant of Unix time), an offset below a day, and T and Z in upper case.
 */
export function isTimestampText(text: string): boolean {
  const parts = timestamp.exec(text);
  if (parts === null) return false;
  const [, year, month, day, hour, minute, second, offsetHour = "0", offsetMinute = "0"] = parts;
  return (
    isDay(Number(year), Number(month), Number(day)) &&
    Number(hour) <= 23 &&
    Number(minute) <= 59 &&
    Number(second) <= 59 &&
    Number(offsetHour) <= 23 &&
    Number(offsetMinute) <= 59
  );
}

function isDay(year: number, month: number, day: number): boolean {
  if (year < 1 || month < 1 || month > 12 || day < 1) return false;
  if (month === 2) return day <= (isLeapYear(year) ? 29 : 28);
  return day <= ([4, 6, 9, 11].includes(month) ? 30 : 31);
}

function isLeapYear(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

const duration = /^-?(?:0|[1-9]\d{0,11})(?:\.\d{1,9})?s$/;

/** True for a duration as the JSON of protobuf writes it, such as "10s" or "0.5s". */
export function isDurationText(text: string): boolean {
  return duration.test(text);
}
