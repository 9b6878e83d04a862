// Goal: a dead intent has one reason for ever. Method: a ledger that says "failed before", and records that know why, do not
// know yet, never will, or cannot be read.
import { expect, test } from "vitest";
import { DomainError } from "#common/domain-error.ts";
import { attest, digestIntent, intentOf } from "../../../test/support/intents/intents.ts";
import { Attempt } from "./attempt.ts";
import { clearIntent } from "./clear-intent.ts";
import type { ClearingPorts, RecordedFailure } from "./ports.ts";

const intent = intentOf();
const evidence = { intent, attestation: attest(intent) };
const digest = digestIntent(intent);

/** Clears an intent that the ledger calls dead. `record`: what the records say why, when they are asked again and again. */
async function clearDead(record: () => Promise<RecordedFailure | undefined>): Promise<unknown> {
  const ports = {
    ledger: { write: async () => ({ kind: "ALREADY_FAILED" }) },
    evidence: { store: async () => digest, recordFailure: record },
    requireLedger: () => undefined,
    onFault: () => undefined,
  } as unknown as ClearingPorts;
  const accounts = {
    ledgersOf: async (ids: readonly bigint[]) => new Map(ids.map((id) => [id, 1])),
    add: () => undefined,
    forget: () => undefined,
  };
  const verified = { digest, demands: [], late: undefined } as const;
  const attempt = new Attempt();
  return clearIntent({ ports, accounts, evidence, verified, validateOnly: false, attempt }).catch(
    (error: unknown) => error,
  );
}

const recorded = (reason: string) => ({ reason, metadata: {}, timeMs: 0, isNew: false });

test("it is told as it was recorded", async () => {
  expect(await clearDead(async () => recorded("INSUFFICIENT_FUNDS"))).toMatchObject({
    kind: "INTENT_FAILED",
    metadata: { intentId: intent.intentId, firstReason: "INSUFFICIENT_FUNDS" },
  });
});

test("it is waited for while somebody records it", async () => {
  const answers = [undefined, undefined, recorded("ACCOUNT_CLOSED")];
  expect(await clearDead(async () => answers.shift())).toMatchObject({
    metadata: { firstReason: "ACCOUNT_CLOSED" },
  });
});

test("it is unknown for ever only where that is what was recorded", async () => {
  expect(await clearDead(async () => recorded("INTENT_FAILED"))).toMatchObject({
    kind: "INTENT_FAILED",
    metadata: { firstReason: "UNKNOWN" },
  });
});

test.each([
  ["is not recorded yet", async () => undefined],
  [
    "cannot be read",
    async () => {
      throw new DomainError("RECORDS_UNAVAILABLE", "away");
    },
  ],
])("where it %s the answer is that nobody knows, and to ask again", async (_, record) => {
  expect(await clearDead(record)).toMatchObject({
    kind: "OUTCOME_UNKNOWN",
    early: true,
    metadata: { intentId: intent.intentId },
  });
});
