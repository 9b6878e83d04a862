import type Stripe from "stripe";
import { printable } from "./call.ts";

/** The metadata by which a PaymentIntent, or a refund, names the intent that it belongs to. */
export const intentKey = "intent_id";

/** The UUIDv7 that our metadata names, or "". Others write metadata as well; what is no intent id is none of ours. */
export function uuidOf(metadata: Stripe.Metadata | null): string {
  const text = metadata?.[intentKey] ?? "";
  return /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(text)
    ? text
    : "";
}

/** A word of Stripe's that we know. Throws an Error for any other: what it means is not to be guessed. */
export function oneOf<Word extends string>(words: readonly Word[], word: string | null): Word {
  const known = words.find((candidate) => candidate === word);
  if (known === undefined)
    throw new Error(`Stripe tells an unknown status: ${printable(`${word}`)}`);
  return known;
}

/** Minor units for Stripe: 1 or more, and exact. Throws RangeError. */
export function toNumber(amount: bigint): number {
  const number = Number(amount);
  if (Number.isSafeInteger(number) && number > 0) return number;
  throw new RangeError(`${amount} is no amount that Stripe can take`);
}

/** Minor units as Stripe tells them: 0 or more, and exact. Throws RangeError. */
export function toBigint(amount: number): bigint {
  if (Number.isSafeInteger(amount) && amount >= 0) return BigInt(amount);
  throw new RangeError("Stripe tells an amount that is none");
}

/** The most that one page of a list holds. */
export const pageSize = 100;

/** What continues a list after the object of that id; undefined: from its start. */
export function startingAfter(after: string | undefined): { starting_after?: string } {
  return after === undefined ? {} : { starting_after: after };
}
