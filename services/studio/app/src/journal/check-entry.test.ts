import { clone, create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { domainEncoder, intentDomain } from "#common/intent/digest.ts";
import { batchDigester } from "#common/tree/attestation-batch.ts";
import { buildTree } from "#common/tree/merkle.ts";
import { proofToBytes } from "#common/tree/proof.ts";
import { AttestedTreeSchema } from "#gen/sovr/attestor/v1/attestation_pb.ts";
import { GetDomainResponseSchema } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import { SignerState } from "#gen/sovr/attestor/v1/signer_pb.ts";
import { GetClearingResponseSchema } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { JournalEntrySchema } from "#gen/sovr/ledger/v1/journal_entry_pb.ts";
import { bundleIntent } from "../testing/bundle-intent.ts";
import { domain, domainSource, wallet } from "../testing/domain.ts";
import { keepWallet } from "../wallet/demo-wallet.ts";
import { transferId } from "../wallet/ids.ts";
import { digestIntent } from "../wallet/intent-digest.ts";
import { checkEntry, type Evidence } from "./check-entry.ts";

const storage = { setItem: () => undefined } as unknown as Storage;
const attestor = keepWallet(storage, `0x${"22".repeat(32)}`);

/** An entry as an honest mesh tells it. */
function honest(): Evidence {
  const intent = bundleIntent({ wallet: wallet.address });
  const digest = digestIntent(domain, intent);
  const attestation = {
    digest,
    signature: attestor.signDigest(digest),
    signer: attestor.address,
    walletSignature: wallet.signDigest(digest),
  };
  const signer = {
    address: attestor.address,
    state: SignerState.ACTIVE,
    activateTime: timestampFromMs(0),
  };
  return {
    domain: { ...clone(GetDomainResponseSchema, domain), ...signersOf(signer) },
    cleared: create(GetClearingResponseSchema, { clearing: { digest }, intent, attestation }),
    entry: create(JournalEntrySchema, {
      intentId: intent.intentId,
      digest,
      attestation,
      wallet: wallet.address,
      lines: intent.postings.map((posting, leg) => ({
        transferId: String(transferId(intent.intentId, leg)),
        debitAccountId: posting.debitAccountId,
        creditAccountId: posting.creditAccountId,
        amount: posting.amount,
        ledger: posting.ledger,
        code: posting.code,
        phase: intent.phase,
        leg,
        legs: intent.postings.length,
        digestPrefix: digest.slice(0, 50),
      })),
    }),
  };
}

function signersOf(signer: object) {
  const { signers } = create(GetDomainResponseSchema, { signers: [signer] });
  return { signers };
}

const failedOf = (evidence: Evidence) =>
  checkEntry(evidence)
    .filter(({ ok }) => ok === false)
    .map(({ name }) => name);

const digestName = "The digest is that of the intent";
const signerName = "A trusted signer attested it";
const walletName = "The wallet signed it";
const idName = "Every transfer's id follows from the intent";
const rowName = "Every row is what was signed";
const prefixName = "Every row names the digest";

describe("checkEntry", () => {
  it("finds that an honest entry holds", () => {
    const checks = checkEntry(honest());
    expect(checks.map(({ name, ok }) => [name, ok])).toEqual(
      [digestName, signerName, walletName, idName, rowName, prefixName].map((name) => [name, true]),
    );
  });

  type Change = readonly [string, (evidence: Evidence) => void, readonly string[]];
  const other = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
  const first = <Item>(items: readonly Item[]): Item => items[0] as Item;
  const changes: readonly Change[] = [
    ["an amount in the ledger", ({ entry }) => (first(entry.lines).amount = "1"), [rowName]],
    [
      "an account in the ledger",
      ({ entry }) => (first(entry.lines).creditAccountId = "1000001"),
      [rowName],
    ],
    ["the rule of a row", ({ entry }) => (first(entry.lines).code = 9), [rowName]],
    ["the asset of a row", ({ entry }) => (first(entry.lines).ledger = 2), [rowName]],
    ["a row less", ({ entry }) => entry.lines.pop(), [idName, rowName]],
    ["rows in another order", ({ entry }) => entry.lines.reverse(), [idName, rowName]],
    ["no row", ({ entry }) => entry.lines.splice(0), [idName, rowName, prefixName]],
    ["a transfer's id", ({ entry }) => (first(entry.lines).transferId = "1"), [idName]],
    [
      "a row's digest",
      ({ entry }) => (first(entry.lines).digestPrefix = `0x${"1".repeat(48)}`),
      [prefixName],
    ],
    ["the entry's digest", ({ entry }) => (entry.digest = `0x${"1".repeat(64)}`), [digestName]],
    [
      "the entry's id",
      ({ entry }) => (entry.intentId = "019abcde-f012-7abc-9def-0123456789ab"),
      [idName],
    ],
    [
      "an amount in the evidence",
      ({ cleared }) => (first(cleared.intent?.postings ?? []).amount = "1"),
      [digestName, signerName, walletName, rowName, prefixName],
    ],
    [
      "the Attestor's signature",
      ({ cleared, entry }) => {
        if (cleared.attestation) cleared.attestation.signature = wallet.signDigest(entry.digest);
      },
      [signerName],
    ],
    ["the signers", ({ domain: { signers } }) => (first(signers).address = other), [signerName]],
    [
      "a revoked signer",
      ({ domain: { signers } }) => (first(signers).state = SignerState.REVOKED),
      [signerName],
    ],
    [
      "a signer of tomorrow",
      ({ domain: { signers } }) =>
        (first(signers).activateTime = timestampFromMs(Date.now() + 86_400_000)),
      [signerName],
    ],
    [
      "a signer of yesterday",
      ({ domain: { signers } }) =>
        (first(signers).retireTime = timestampFromMs(Date.now() - 86_400_000)),
      [signerName],
    ],
    [
      "the wallet's signature",
      ({ cleared, entry }) => {
        if (cleared.attestation) {
          cleared.attestation.walletSignature = attestor.signDigest(entry.digest);
        }
      },
      [walletName],
    ],
    [
      "garbage for signatures",
      ({ cleared: { attestation } }) => {
        if (attestation) Object.assign(attestation, { signature: "0x12", walletSignature: "0x" });
      },
      [signerName, walletName],
    ],
    ["no evidence", ({ cleared }) => delete cleared.intent, ["Evidence"]],
    ["another form of intent", (evidence) => (evidence.domain.typesJson = "{}"), ["Digest"]],
  ];

  it.each(changes)("sees %s", (_, change, names) => {
    const evidence = honest();
    change(evidence);
    expect(failedOf(evidence)).toEqual(names);
  });

  it("takes an intent out of a tree as one that was signed alone, and no proof for another", () => {
    const evidence = honest();
    const { intent, attestation } = evidence.cleared;
    if (intent === undefined || attestation === undefined) throw new Error("no evidence");
    const neighbours = [1, 2, 3, 4].map((byte) => Buffer.alloc(32, byte));
    const own = Buffer.from(attestation.digest.slice(2), "hex");
    const tree = buildTree([...neighbours.slice(0, 2), own, ...neighbours.slice(2)]);
    const { seconds = 0n } = intent.issueTime ?? {};
    const at = { root: tree.root, count: 5, issueTime: seconds };
    const digestBatch = batchDigester(domainEncoder(intentDomain(domainSource)));
    attestation.signature = attestor.signDigest(digestBatch(at));
    const bytes = proofToBytes({ index: 2, count: 5, path: tree.pathOf(2) });
    const proof = `0x${bytes.toString("hex")}`;
    attestation.tree = create(AttestedTreeSchema, { proof, issueTime: intent.issueTime });
    expect(failedOf(evidence)).toEqual([]);
    const flipped = [3, 7, 8, bytes.length - 1].map((at) => {
      const hex = bytes.with(at, (bytes[at] ?? 0) ^ 1);
      return `0x${Buffer.from(hex).toString("hex")}`;
    });
    for (const bad of [...flipped, proof.slice(0, -64), proof.slice(0, 10), "0x", "0xg", ""]) {
      attestation.tree.proof = bad;
      expect(failedOf(evidence)).toEqual([signerName]);
    }
    attestation.tree = create(AttestedTreeSchema, { proof, issueTime: timestampFromMs(1_000) });
    expect(failedOf(evidence)).toEqual([signerName]);
    delete attestation.tree;
    expect(failedOf(evidence)).toEqual([signerName]);
  });

  it("asks no wallet to sign for the house", () => {
    const evidence = honest();
    const { intent, attestation } = evidence.cleared;
    if (intent === undefined || attestation === undefined) throw new Error("no evidence");
    intent.wallet = `0x${"0".repeat(40)}`;
    const check = checkEntry(evidence).find(({ name }) => name === walletName);
    expect(check?.ok).toBeUndefined();
  });
});
