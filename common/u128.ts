import { invalidField } from "./domain-error.ts";

/** The largest u128, 2^128 − 1. */
export const u128Max = (1n << 128n) - 1n;

const decimal = /^(0|[1-9][0-9]{0,38})$/;

/**
 * Parses a u128 from its one spelling, a decimal string without sign, point or leading zero.
 * Throws INVALID_FIELD that names `field`.
 */
export function parseU128(text: string, field: string): bigint {
  if (!decimal.test(text)) {
    throw invalidField(
      field,
      "string.pattern",
      "must be a decimal number without sign or leading zeros",
    );
  }
  const value = BigInt(text);
  if (value > u128Max) {
    throw invalidField(field, "u128.range", "must be at most 2^128 − 1");
  }
  return value;
}

/** Prints a u128 in its one spelling. Throws RangeError out of range: that is a fault of ours, never input. */
export function formatU128(value: bigint): string {
  if (value < 0n || value > u128Max) throw new RangeError(`not a u128: ${value}`);
  return value.toString();
}
