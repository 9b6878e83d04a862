import { DomainError, invalidField } from "#common/domain-error.ts";
import { findAsset, formatAmount } from "#common/ledger/assets.ts";
import { isUuidV7 } from "#common/uuid.ts";
import { type Intent, postingsMax } from "./intent.ts";

/** The longest life of an intent, in seconds. A thief of an old intent gains nothing. */
export const lifetimeMaxSeconds = 86_400n;
/** How far two clocks may differ, in seconds. */
export const clockSkewSeconds = 300n;
/** The longest reservation, in seconds: a year. EventStream looks back no further for what may still expire. */
const timeoutMaxSeconds = 31_536_000;

/** The last second of the year 9999: the end of what a protobuf Timestamp may say. */
const timeMaxSeconds = 253_402_300_799n;
/** The largest u16: what the signed form and the transfer's row hold. */
const codeMax = 65_535;

const printable = /^[ -~]{0,128}$/;
const digest = /^0x[0-9a-f]{64}$/;
const noDigest = `0x${"0".repeat(64)}`;

/** True for a digest in its one spelling: 32 bytes as lower-case `0x` hex. */
export function isDigest(text: string): boolean {
  return digest.test(text);
}

/**
 * Checks what can be seen in the intent alone, whoever made it: the one spelling of every field, bounds, and
 * which fields go with which phase. Throws INVALID_FIELD.
 */
export function checkShape(intent: Intent): void {
  if (!isUuidV7(intent.intentId)) {
    throw invalidField("intent.intent_id", "string.pattern", "must be a lower-case UUIDv7");
  }
  for (const [name, text] of [
    ["merchant_id", intent.merchantId],
    ["reference", intent.reference],
  ] as const) {
    if (!printable.test(text)) {
      throw invalidField(
        `intent.${name}`,
        "string.pattern",
        "must be at most 128 characters of printable ASCII",
      );
    }
  }
  checkCorrects(intent.corrects);
  checkPhaseFields(intent);
  checkPostingShapes(intent);
  checkLifetime(intent);
}

function checkCorrects(corrects: string): void {
  if (corrects === "") return;
  if (!isDigest(corrects)) {
    throw invalidField(
      "intent.corrects",
      "string.pattern",
      "must be empty or 0x and 64 hex digits",
    );
  }
  // What is signed where nothing is corrected: it would be a second spelling of that.
  if (corrects === noDigest) {
    throw invalidField("intent.corrects", "intent.corrects_nothing", "must be empty, not all zero");
  }
}

function checkPhaseFields(intent: Intent): void {
  const resolves = intent.phase === "POST_PENDING" || intent.phase === "VOID_PENDING";
  if (resolves && !isUuidV7(intent.pendingIntentId)) {
    throw invalidField(
      "intent.pending_intent_id",
      "intent.pending_required",
      "must name the pending intent that is posted or voided",
    );
  }
  if (!resolves && intent.pendingIntentId !== "") {
    throw invalidField(
      "intent.pending_intent_id",
      "intent.pending_unexpected",
      "must be empty unless the phase posts or voids",
    );
  }
  if (intent.phase !== "PENDING" && intent.timeoutSeconds !== 0) {
    throw invalidField(
      "intent.timeout_seconds",
      "intent.timeout_unexpected",
      "must be 0 unless the phase is PENDING",
    );
  }
  if (
    !Number.isInteger(intent.timeoutSeconds) ||
    intent.timeoutSeconds < 0 ||
    intent.timeoutSeconds > timeoutMaxSeconds
  ) {
    throw invalidField(
      "intent.timeout_seconds",
      "uint32.lte",
      `must be at most ${timeoutMaxSeconds}`,
    );
  }
}

function checkPostingShapes(intent: Intent): void {
  if (intent.postings.length < 1 || intent.postings.length > postingsMax) {
    throw invalidField(
      "intent.postings",
      "repeated.items",
      `must hold 1 to ${postingsMax} postings`,
    );
  }
  const least = intent.phase === "POST_PENDING" ? 0n : 1n;
  for (const [index, posting] of intent.postings.entries()) {
    const field = `intent.postings[${index}]`;
    if (posting.amount < least) {
      throw invalidField(`${field}.amount`, "posting.amount", `must be at least ${least}`);
    }
    if (findAsset(posting.ledger) === undefined) {
      throw invalidField(
        `${field}.ledger`,
        "posting.ledger",
        `there is no asset ${posting.ledger}`,
      );
    }
    if (!Number.isInteger(posting.code) || posting.code < 1 || posting.code > codeMax) {
      throw invalidField(`${field}.code`, "uint32.gte_lte", `must be 1 to ${codeMax}`);
    }
  }
}

function checkLifetime(intent: Intent): void {
  const lifetime = intent.expireTime - intent.issueTime;
  if (intent.issueTime < 0n || intent.issueTime > timeMaxSeconds) {
    throw invalidField("intent.issue_time", "intent.issue_time", "must lie between 1970 and 9999");
  }
  if (lifetime <= 0n || lifetime > lifetimeMaxSeconds || intent.expireTime > timeMaxSeconds) {
    throw invalidField(
      "intent.expire_time",
      "intent.lifetime",
      `must be after issue_time by at most ${lifetimeMaxSeconds} seconds`,
    );
  }
}

/** The largest sum of an intent's postings in one asset, in whole units of the asset. */
export interface IntentLimits {
  readonly unitsMax: bigint;
}

/** Checks an intent against the limits of this mesh. Throws LIMIT_EXCEEDED. */
export function checkLimits(intent: Intent, limits: IntentLimits): void {
  const sums = new Map<number, bigint>();
  for (const posting of intent.postings) {
    const sum = (sums.get(posting.ledger) ?? 0n) + posting.amount;
    sums.set(posting.ledger, sum);
    const limit = limits.unitsMax * 10n ** BigInt(findAsset(posting.ledger)?.scale ?? 0);
    if (sum > limit) {
      throw new DomainError(
        "LIMIT_EXCEEDED",
        `an intent may move at most ${formatAmount(limit, posting.ledger)}`,
        { metadata: { limit: limit.toString(), what: "amount per intent" } },
      );
    }
  }
}

/** Throws INTENT_NOT_YET_VALID if the intent was issued further ahead than clocks may differ. Unix seconds. */
export function checkIssued(intent: Intent, nowSeconds: bigint): void {
  if (intent.issueTime <= nowSeconds + clockSkewSeconds) return;
  throw new DomainError("INTENT_NOT_YET_VALID", "the intent was issued in the future", {
    metadata: { intentId: intent.intentId, issueTime: isoTime(intent.issueTime) },
  });
}

/** True once the intent can clear no more. Unix seconds. */
export function isExpired(intent: Intent, nowSeconds: bigint): boolean {
  return nowSeconds >= intent.expireTime;
}

/** The refusal of an expired intent. */
export function intentExpired(intent: Intent): DomainError<"INTENT_EXPIRED"> {
  return new DomainError("INTENT_EXPIRED", `the intent expired at ${isoTime(intent.expireTime)}`, {
    metadata: { intentId: intent.intentId, expireTime: isoTime(intent.expireTime) },
  });
}

function isoTime(seconds: bigint): string {
  return new Date(Number(seconds) * 1000).toISOString().replace(".000Z", "Z");
}
