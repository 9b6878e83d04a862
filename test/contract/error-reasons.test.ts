// Goal: the reasons are what was published. Method: the options of proto/sovr/common/v1/error_reason.proto, as they are
// compiled into gen/, against a golden table of codes, against each other, and against the page that tells of them.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { getOption, hasOption } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { Code, CodeSchema } from "#gen/google/rpc/code_pb.ts";
import { ErrorReasonSchema } from "#gen/sovr/common/v1/error_reason_pb.ts";
import { error_rule as errorRule, RetryRule } from "#gen/sovr/common/v1/error_rule_pb.ts";

const reasons = ErrorReasonSchema.values.filter(({ number }) => number !== 0);
const rules = new Map(reasons.map((value) => [value.localName, getOption(value, errorRule)]));

/** As published; a code never changes, a new reason is added here. */
const published: Readonly<Record<string, readonly string[]>> = {
  INVALID_ARGUMENT: [
    "INVALID_FIELD",
    "POSTING_NOT_ALLOWED",
    "LEDGERS_DIFFER",
    "AMOUNT_MISMATCH",
    "CURSOR_INVALID",
  ],
  PERMISSION_DENIED: [
    "ATTESTATION_INVALID",
    "SIGNER_NOT_TRUSTED",
    "WALLET_SIGNATURE_INVALID",
    "SCOPE_MISSING",
    "APPROVAL_INVALID",
    "SIGN_IN_REFUSED",
  ],
  FAILED_PRECONDITION: [
    "INTENT_EXPIRED",
    "INTENT_NOT_YET_VALID",
    "INTENT_FAILED",
    "PAYMENT_METHOD_UNAVAILABLE",
    "NOT_REFUNDABLE",
    "CHECKOUT_CANCELLED",
    "NOT_CANCELLABLE",
    "PAYMENT_DECLINED",
    "PAYMENT_ACTION_REQUIRED",
    "CURSOR_WRONG_CLUSTER",
    "INSUFFICIENT_FUNDS",
    "ACCOUNT_CLOSED",
    "PENDING_NOT_FOUND",
    "PENDING_ALREADY_POSTED",
    "PENDING_ALREADY_VOIDED",
    "PENDING_EXPIRED",
    "PENDING_AMOUNT_EXCEEDED",
    "NOT_FULFILLABLE",
    "APPROVAL_REQUIRED",
    "APPROVAL_REJECTED",
    "PROPOSAL_CLOSED",
    "NOT_PROPOSABLE",
  ],
  ALREADY_EXISTS: ["INTENT_ID_REUSED", "ORDER_ID_REUSED"],
  OUT_OF_RANGE: ["CURSOR_IN_FUTURE"],
  RESOURCE_EXHAUSTED: ["SLOW_CONSUMER", "LIMIT_EXCEEDED", "RATE_LIMITED"],
  NOT_FOUND: [
    "ACCOUNT_NOT_FOUND",
    "TRANSFER_NOT_FOUND",
    "INTENT_NOT_FOUND",
    "CHECKOUT_NOT_FOUND",
    "WEBHOOK_EVENT_NOT_FOUND",
    "PROPOSAL_NOT_FOUND",
  ],
  UNAUTHENTICATED: ["CREDENTIALS_MISSING", "CREDENTIALS_INVALID", "SESSION_EXPIRED"],
  DEADLINE_EXCEEDED: ["NOT_SENT", "OUTCOME_UNKNOWN", "EDGE_TIMEOUT"],
  UNAVAILABLE: [
    "LEDGER_UNAVAILABLE",
    "RECORDS_UNAVAILABLE",
    "DRAINING",
    "PAYMENTS_UNAVAILABLE",
    "EDGE_UNAVAILABLE",
    "SIGNER_UNAVAILABLE",
    "SIGN_IN_UNAVAILABLE",
  ],
  INTERNAL: ["INTERNAL"],
  UNIMPLEMENTED: ["METHOD_NOT_FOUND"],
  CANCELLED: ["CANCELLED"],
};

test("every value has a rule", () => {
  const without = ErrorReasonSchema.values.filter((value) => !hasOption(value, errorRule));
  expect(without.map(({ name }) => name)).toEqual([]);
  for (const [reason, { retry }] of rules) expect(retry, reason).not.toBe(RetryRule.UNSPECIFIED);
});

test("every reason has the code that was published", () => {
  const codes = Object.entries(published).flatMap(([code, names]) =>
    names.map((name) => [name, code] as const),
  );
  const declared = [...rules].map(([reason, { code }]) => [reason, CodeSchema.value[code]?.name]);
  expect(Object.fromEntries(declared)).toEqual(Object.fromEntries(codes));
});

test("a caller who still has time is not told that it passed", () => {
  const early = [...rules].flatMap(([reason, { earlyCode }]) =>
    earlyCode === Code.OK ? [] : [[reason, CodeSchema.value[earlyCode]?.name]],
  );
  expect(early).toEqual([["OUTCOME_UNKNOWN", "UNAVAILABLE"]]);
});

test("who is told to come back later is told when", () => {
  const timed: readonly Code[] = [Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED];
  for (const [reason, { code, retry }] of rules)
    if (retry === RetryRule.LATER) expect(timed, reason).toContain(code);
});

test("no key is told twice, and every key is lowerCamelCase", () => {
  for (const [reason, { requiredKeys, optionalKeys }] of rules) {
    const keys = [...requiredKeys, ...optionalKeys];
    expect(new Set(keys).size, reason).toBe(keys.length);
    for (const key of keys) expect(key, reason).toMatch(/^[a-z][a-zA-Z]*$/);
  }
});

test("docs/errors.md says the same, and the examples in it have those keys", () => {
  const page = readFileSync(join(import.meta.dirname, "../../docs/errors.md"), "utf8");
  const rows = page
    .split("\n")
    .filter((line) => /^\| `[A-Z_]+` \|/.test(line))
    .map((line) => line.split(/(?<!\\)\|/).map((cell) => cell.trim()));
  expect(rows.map((row) => row[1])).toEqual(reasons.map(({ localName }) => `\`${localName}\``));
  for (const [, name = "", , code, required, optional, retry, example = ""] of rows) {
    const rule = rules.get(name.replaceAll("`", ""));
    if (rule === undefined) throw new Error(`docs/errors.md tells of ${name}`);
    const list = (keys: readonly string[]) => keys.map((key) => `\`${key}\``).join(", ");
    const early = rule.earlyCode === Code.OK ? "" : "; UNAVAILABLE while there is time";
    expect(code, name).toBe(`${CodeSchema.value[rule.code]?.name}${early}`);
    expect(required, name).toBe(list(rule.requiredKeys));
    expect(optional, name).toBe(list(rule.optionalKeys));
    expect(Object.entries(RetryRule).find(([, number]) => number === rule.retry)?.[0]).toBe(
      retry?.toUpperCase().replaceAll(" ", "_"),
    );
    const shown = [...example.matchAll(/"(\w+)":/g)].map((match) => match[1]);
    expect(shown.toSorted(), name).toEqual([...rule.requiredKeys, ...rule.optionalKeys].toSorted());
  }
});
