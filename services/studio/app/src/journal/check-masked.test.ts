import { clone, create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { GetDomainResponseSchema } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import { SignerSchema, SignerState } from "#gen/sovr/attestor/v1/signer_pb.ts";
import { GetClearingResponseSchema } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { JournalEntrySchema } from "#gen/sovr/ledger/v1/journal_entry_pb.ts";
import { bundleIntent } from "../testing/bundle-intent.ts";
import { domain, wallet } from "../testing/domain.ts";
import { keepWallet } from "../wallet/demo-wallet.ts";
import { transferId } from "../wallet/ids.ts";
import { digestIntent } from "../wallet/intent-digest.ts";
import type { Evidence } from "./check-entry.ts";
import { checkMasked } from "./check-masked.ts";

const storage = { setItem: () => undefined } as unknown as Storage;
const attestor = keepWallet(storage, `0x${"22".repeat(32)}`);

/** An entry of three legs as an honest mesh tells it to the one whose leg is the second. */
function honest(): Evidence {
  const whole = bundleIntent({ wallet: wallet.address });
  const digest = digestIntent(domain, whole);
  const { address: signer } = attestor;
  const attestation = { digest, signature: attestor.signDigest(digest), signer };
  const own = whole.postings.slice(1, 2);
  const { intentId, phase, issueTime, expireTime } = whole;
  const signers = [
    create(SignerSchema, {
      address: signer,
      state: SignerState.ACTIVE,
      activateTime: timestampFromMs(0),
    }),
  ];
  return {
    domain: { ...clone(GetDomainResponseSchema, domain), signers },
    cleared: create(GetClearingResponseSchema, {
      clearing: { digest },
      intent: {
        intentId,
        phase,
        postings: own,
        ...(issueTime && { issueTime }),
        ...(expireTime && { expireTime }),
      },
      attestation,
      masked: true,
      legs: [1],
      legCount: 3,
    }),
    entry: create(JournalEntrySchema, {
      intentId,
      digest,
      attestation,
      masked: true,
      legCount: 3,
      lines: own.map((posting) => ({
        transferId: String(transferId(intentId, 1)),
        debitAccountId: posting.debitAccountId,
        creditAccountId: posting.creditAccountId,
        amount: posting.amount,
        ledger: posting.ledger,
        code: posting.code,
        phase,
        leg: 1,
        legs: 3,
        digestPrefix: digest.slice(0, 50),
      })),
    }),
  };
}

const failedOf = (evidence: Evidence) =>
  checkMasked(evidence)
    .filter(({ ok }) => ok === false)
    .map(({ name }) => name);

describe("checkMasked", () => {
  it("checks the signer, and the ids and digests of one's own rows, and says what it cannot", () => {
    const checks = checkMasked(honest());
    expect(checks.map(({ name, ok, unseen }) => [name, ok, unseen])).toEqual([
      ["The digest is that of the intent", undefined, true],
      ["A trusted signer attested it", true, undefined],
      ["The wallet signed it", undefined, true],
      ["Every transfer's id follows from the intent", true, undefined],
      ["Every row is what was signed", undefined, true],
      ["Every row names the digest", true, undefined],
    ]);
    const [digest] = checks;
    expect(digest?.says).toContain("Not checked: others' legs");
  });

  it("says so where only the words are another's", () => {
    const evidence = honest();
    evidence.entry.legCount = 1;
    expect(checkMasked(evidence)[0]?.says).toContain("Not checked: another's words");
  });

  const line = ({ entry }: Evidence) => {
    const [first] = entry.lines;
    if (first === undefined) throw new Error("no line");
    return first;
  };
  type Change = readonly [string, (evidence: Evidence) => void, readonly string[]];
  const idName = "Every transfer's id follows from the intent";
  const signerName = "A trusted signer attested it";
  const prefixName = "Every row names the digest";
  const digestName = "The digest is that of the intent";
  const changes: readonly Change[] = [
    ["a transfer's id", (evidence) => (line(evidence).transferId = "1"), [idName]],
    ["another leg", (evidence) => (line(evidence).leg = 2), [idName]],
    ["another count", ({ entry }) => (entry.legCount = 4), [idName]],
    [
      "a row's digest",
      (evidence) => (line(evidence).digestPrefix = `0x${"1".repeat(48)}`),
      [prefixName],
    ],
    [
      "the entry's digest",
      ({ entry }) => (entry.digest = `0x${"1".repeat(64)}`),
      [digestName, signerName, prefixName],
    ],
    ["the signers", ({ domain: { signers } }) => signers.splice(0), [signerName]],
    ["no row", ({ entry }) => entry.lines.splice(0), [idName, prefixName]],
    ["no evidence", ({ cleared }) => delete cleared.intent, ["Evidence"]],
  ];

  it.each(changes)("sees %s", (_, change, names) => {
    const evidence = honest();
    change(evidence);
    expect(failedOf(evidence)).toEqual(names);
  });
});
