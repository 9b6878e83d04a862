// Goal: an intent is as old as it says, or has a witness. Method: the rule alone, with witnesses that say what a case says.
import { describe, expect, test, vi } from "vitest";
import { attest, attestorKey, intentOf } from "../../test/support/intents/intents.ts";
import { checkNotDatedBack, type Witnesses } from "./dated-back.ts";

const issueTime = 1_800_000_000n;
const intent = intentOf({ issueTime, expireTime: issueTime + 80_000n });
const attestation = attest(intent);

function check(
  ageSeconds: bigint,
  { retiredAfter, ...said }: Partial<Awaited<Said>> & { readonly retiredAfter?: bigint } = {},
) {
  const signer = {
    address: attestorKey.address,
    activateTime: 0n,
    retireTime: retiredAfter === undefined ? undefined : issueTime + retiredAfter,
    revokeTime: undefined,
  };
  const witnesses: Witnesses = {
    boundTime: vi.fn(async () =>
      said.boundAfter === undefined ? undefined : issueTime + said.boundAfter,
    ),
    hasEvidence: vi.fn(async () => said.evidence ?? false),
  };
  const at = { signers: [signer], nowSeconds: issueTime + ageSeconds };
  return { witnesses, outcome: checkNotDatedBack(intent, attestation, at, witnesses) };
}

interface Said {
  readonly boundAfter: bigint;
  readonly evidence: boolean;
}

describe("passes", () => {
  test.each<[string, bigint, Parameters<typeof check>[1]]>([
    ["old and bound in time", 80_000n, { boundAfter: 600n }],
    ["bound before the issue, by another clock", 80_000n, { boundAfter: -300n }],
    ["retired since, and bound before that", 100n, { retiredAfter: 50n, boundAfter: 10n }],
    [
      "retired since, and bound as long as clocks may differ",
      700n,
      { retiredAfter: 50n, boundAfter: 350n },
    ],
    ["old and cleared before", 80_000n, { evidence: true }],
    ["bound late and cleared before", 80_000n, { boundAfter: 601n, evidence: true }],
  ])("%s", async (_what, age, said) => {
    await expect(check(age, said).outcome).resolves.toBeUndefined();
  });

  test("what is fresh, and asks nobody", async () => {
    for (const age of [-300n, 0n, 600n]) {
      const { outcome, witnesses } = check(age, { retiredAfter: 700n });
      await outcome;
      expect(witnesses.boundTime).not.toHaveBeenCalled();
      expect(witnesses.hasEvidence).not.toHaveBeenCalled();
    }
  });
});

describe("refuses", () => {
  test.each<[string, bigint, Parameters<typeof check>[1]]>([
    ["old and bound by nobody", 601n, {}],
    ["old and bound late", 80_000n, { boundAfter: 601n }],
    ["young, of a signer that has retired since, bound by nobody", 51n, { retiredAfter: 50n }],
    ["of a signer that has retired this second", 50n, { retiredAfter: 50n }],
    ["bound after the signer's retirement", 500n, { retiredAfter: 50n, boundAfter: 351n }],
  ])("%s", async (_what, age, said) => {
    await expect(check(age, said).outcome).rejects.toMatchObject({
      kind: "SIGNER_NOT_TRUSTED",
      metadata: { signer: attestorKey.address, state: "DATED_BACK" },
    });
  });
});
