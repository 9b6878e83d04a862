import { create } from "@bufbuild/protobuf";
import { type Timestamp, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { invalidField } from "#common/domain-error.ts";

const nanosecondsPerSecond = 1_000_000_000n;

/** Writes nanoseconds since 1970 (of the ledger's clock) as a Timestamp, without loss. */
export function formatNanoseconds(nanoseconds: bigint): Timestamp {
  let seconds = nanoseconds / nanosecondsPerSecond;
  let nanos = Number(nanoseconds % nanosecondsPerSecond);
  // Division goes towards zero, and a Timestamp counts its nanos forwards, before 1970 too.
  if (nanos < 0) {
    seconds -= 1n;
    nanos += 1_000_000_000;
  }
  // Field by field, not by an initialiser: this runs for every transfer of a catch-up.
  const timestamp = create(TimestampSchema);
  timestamp.seconds = seconds;
  timestamp.nanos = nanos;
  return timestamp;
}

/** Reads an instant as nanoseconds since 1970, without loss. Throws INVALID_FIELD that names `field`. */
export function parseNanoseconds(time: Timestamp, field: string): bigint {
  if (time.nanos < 0 || time.nanos > 999_999_999) {
    throw invalidField(field, "timestamp.nanos", "nanos must be between 0 and 999999999");
  }
  return time.seconds * nanosecondsPerSecond + BigInt(time.nanos);
}

/** Reads an instant that need not be given: undefined stays so. Throws INVALID_FIELD that names `field`. */
export function parseOptionalNanoseconds(
  time: Timestamp | undefined,
  field: string,
): bigint | undefined {
  return time === undefined ? undefined : parseNanoseconds(time, field);
}
