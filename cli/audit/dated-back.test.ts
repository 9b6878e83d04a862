// Goal: an intent that Clearing would have refused as dated back is found, and none that it would have taken. Method: intents
// whose commit, rows and signer are given as times around their issue.
import { expect, test, vi } from "vitest";
import type { Signers } from "#common/intent/signers.ts";
import { attest, attestorKey, intentOf } from "../../test/support/intents/intents.ts";
import { findDatedBack } from "./dated-back.ts";

const intent = intentOf();
const attestation = attest(intent);
const { intentId, issueTime } = intent;
const { digest } = attestation;

const signersWith = (retiresAfter?: bigint): Signers => [
  {
    address: attestorKey.address,
    activateTime: issueTime - 86_400n,
    retireTime: retiresAfter === undefined ? undefined : issueTime + retiresAfter,
    revokeTime: undefined,
  },
];

interface Case {
  /** Seconds after the issue. */
  readonly clears: bigint;
  readonly seen?: readonly (readonly [bigint, string?])[];
  readonly retiresAfter?: bigint;
}

async function isDatedBack({ clears, seen = [], retiresAfter }: Case) {
  const seenTimes = vi.fn(async () => {
    const rows = seen.map(([after, other]) => ({
      digest: other ?? digest,
      seenTime: issueTime + after,
    }));
    return new Map([[intentId, rows]]);
  });
  const cleared = [{ evidence: { intent, attestation }, commitTime: issueTime + clears }];
  const found = await findDatedBack({ seenTimes }, signersWith(retiresAfter), cleared);
  return { found: found.has(intentId), asked: seenTimes.mock.calls.length };
}

test("what cleared while it was fresh is not asked about", async () => {
  expect(await isDatedBack({ clears: 600n })).toEqual({ found: false, asked: 0 });
});

test.each<[string, Case]>([
  ["late, and the Attestor had seen it", { clears: 7_200n, seen: [[5n]] }],
  ["late, and one of two rows is from then", { clears: 7_200n, seen: [[7_200n], [599n]] }],
  [
    "after its signer's retirement, bound before",
    { clears: 300n, seen: [[5n]], retiresAfter: 60n },
  ],
])("what cleared %s is fine", async (_what, given) => {
  expect(await isDatedBack(given)).toEqual({ found: false, asked: 1 });
});

test.each<[string, Case]>([
  ["late, and nobody had seen it", { clears: 601n }],
  ["late, and was seen when it cleared", { clears: 7_200n, seen: [[7_200n]] }],
  ["late, by another intent's row", { clears: 7_200n, seen: [[5n, `0x${"ab".repeat(32)}`]] }],
  ["after its signer's retirement, seen by nobody", { clears: 120n, retiresAfter: 60n }],
  [
    "after its signer's retirement, seen long after it",
    { clears: 590n, seen: [[590n]], retiresAfter: 60n },
  ],
])("what cleared %s is found", async (_what, given) => {
  expect(await isDatedBack(given)).toEqual({ found: true, asked: 1 });
});
