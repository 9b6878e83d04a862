import type { DigestApproval } from "#common/approval/digest.ts";
import { checkApprovalSignatures, demandsOf, judgeApprovals } from "#common/approval/judge.ts";
import type { Policies } from "#common/approval/policy.ts";
import { DomainError } from "#common/domain-error.ts";
import type { DigestIntent } from "#common/intent/digest.ts";
import type { AttestedIntent, Intent } from "#common/intent/intent.ts";
import {
  type Authority,
  checkPostings,
  type RelatedIntents,
  refersToCorrected,
  refersToPending,
} from "#common/intent/posting-rules.ts";
import { checkShape, clockSkewSeconds } from "#common/intent/rules.ts";
import { recoverAddress } from "#common/intent/signature.ts";
import { signedDigestOf, signingTimes } from "#common/intent/signed-digest.ts";
import { type Signers, trustSigner } from "#common/intent/signers.ts";
import { checkWalletSignature, type RecoverAddress } from "#common/intent/verify-attestation.ts";
import {
  type CommittedTransfer,
  differingFields,
  formatDigestPrefix,
  type TransferRow,
  transferRows,
} from "#common/ledger/transfer-rows.ts";
import type { DigestBatch } from "#common/tree/attestation-batch.ts";
import { type ClearedEvidence, findDatedBack } from "./dated-back.ts";
import type { Finding, FindingKind } from "./finding.ts";
import type { AuditRecords } from "./ports.ts";

/** What evidence is judged by. */
export interface AuditRules {
  readonly digestIntent: DigestIntent;
  readonly digestBatch: DigestBatch;
  /** Who made the signature of a tree: once for all of its intents. */
  readonly recoverTree: RecoverAddress;
  readonly digestApproval: DigestApproval;
  readonly signers: Signers;
  /** What needed approval, from when on. */
  readonly policies: Policies;
}

/**
 * Holds transfers against their evidence, each for itself: at most one finding a transfer, of the gravest kind, which
 * tells all that is wrong with it. What depends on other transfers is not looked at here.
 */
export type ExamineTransfers = (
  transfers: readonly CommittedTransfer[],
) => Promise<readonly Finding[]>;

/** Something that is wrong with a transfer or its evidence. */
interface Fault {
  readonly kind: FindingKind;
  readonly detail: string;
}

/** Evidence, and what can be said of it without looking at a transfer. */
interface Judged {
  readonly evidence: AttestedIntent;
  /** What its transfers must be. */
  readonly rows: readonly TransferRow[];
  readonly faults: readonly Fault[];
}

/** Makes the examination. It asks the records four times a page at most, three of them rarely. */
export function examineTransfers(records: AuditRecords, rules: AuditRules): ExamineTransfers {
  return async (transfers) => {
    const prefixes = transfers.map(formatDigestPrefix);
    const found = await records.byPrefix([...new Set(prefixes)]);
    const relatedTo = await readRelated(records, rules, [...found.values()]);
    const datedBack = await findDatedBack(records, rules.signers, clearedOf(transfers, found));
    // One at a time: the legs of an intent stand together, and a page of the largest intents would fill the memory.
    let last: { readonly prefix: string; readonly judged: Judged | undefined } | undefined;
    return transfers.flatMap((transfer, index) => {
      const prefix = prefixes[index] ?? "";
      if (last?.prefix !== prefix) {
        const evidence = found.get(prefix);
        const judged = evidence && judgeEvidence(evidence, relatedTo(evidence.intent), rules);
        last = { prefix, judged };
      }
      const faults = faultsOf(transfer, last.judged, rules.signers);
      return findingOf(transfer, [...faults, ...faultsOfDate(last.judged, datedBack)]) ?? [];
    });
  };
}

function clearedOf(
  transfers: readonly CommittedTransfer[],
  found: ReadonlyMap<string, AttestedIntent>,
): ClearedEvidence[] {
  return transfers.flatMap((transfer) => {
    const evidence = found.get(formatDigestPrefix(transfer));
    return evidence === undefined ? [] : [{ evidence, commitTime: secondsOf(transfer) }];
  });
}

function faultsOfDate(judged: Judged | undefined, datedBack: ReadonlySet<string>): Fault[] {
  if (judged === undefined || !datedBack.has(judged.evidence.intent.intentId)) return [];
  const { signer } = judged.evidence.attestation;
  const detail = `nobody has seen ${signer} attest the intent when it says that it was issued`;
  return [{ kind: "DATED_BACK", detail }];
}

function secondsOf({ timestamp }: CommittedTransfer): bigint {
  return timestamp / 1_000_000_000n;
}

/** The stored intents that others refer to. One whose digest is not its content's is none. */
async function readRelated(
  records: AuditRecords,
  { digestIntent }: AuditRules,
  evidence: readonly AttestedIntent[],
): Promise<(intent: Intent) => RelatedIntents> {
  const intents = evidence.map(({ intent }) => intent);
  const pendingIds = intents.filter(refersToPending).map((intent) => intent.pendingIntentId);
  const corrected = intents.filter(refersToCorrected).map((intent) => intent.corrects);
  const prefixes = corrected.filter((digest) => digest !== "").map((digest) => digest.slice(0, 50));
  const [byId, byPrefix] = await Promise.all([
    pendingIds.length === 0 ? undefined : records.byIntentId([...new Set(pendingIds)]),
    prefixes.length === 0 ? undefined : records.byPrefix([...new Set(prefixes)]),
  ]);
  const genuine = (found: AttestedIntent | undefined, digest?: string): Intent | undefined => {
    if (found === undefined) return undefined;
    return digestIntent(found.intent) === (digest ?? found.attestation.digest)
      ? found.intent
      : undefined;
  };
  return (intent) => ({
    pending: genuine(byId?.get(intent.pendingIntentId)),
    corrected: genuine(byPrefix?.get(intent.corrects.slice(0, 50)), intent.corrects),
  });
}

function judgeEvidence(
  evidence: AttestedIntent,
  related: RelatedIntents,
  rules: AuditRules,
): Judged {
  const { digestIntent } = rules;
  const { intent, attestation } = evidence;
  const digest = digestIntent(intent);
  const rows = transferRows(intent, digest);
  if (digest !== attestation.digest) {
    const detail = `the evidence of intent ${intent.intentId} is stored under ${attestation.digest} and hashes to ${digest}`;
    return { evidence, rows, faults: [{ kind: "EVIDENCE_ALTERED", detail }] };
  }
  const faults: Fault[] = [];
  catchFault(faults, "ATTESTATION_INVALID", () => checkSignature(evidence, rules));
  // Of an intent that breaks the rules nobody can say whose signature it needs; one that is there is checked.
  let authority: Authority = { wallet: false, house: false };
  catchFault(faults, "RULE_BROKEN", () => checkShape(intent));
  catchFault(faults, "RULE_BROKEN", () => {
    authority = checkPostings(intent, related);
  });
  catchFault(faults, "WALLET_SIGNATURE_INVALID", () =>
    checkWalletSignature(intent, digest, attestation.walletSignature, authority),
  );
  catchFault(faults, "NOT_APPROVED", () => checkApprovals(evidence, rules));
  return { evidence, rows, faults };
}

/** The attestor's signature, over the intent or over the tree in which it stands. Throws ATTESTATION_INVALID. */
function checkSignature({ intent, attestation }: AttestedIntent, rules: AuditRules): void {
  const { signature, signer, tree } = attestation;
  const signed = signedDigestOf(intent, attestation, rules.digestBatch);
  const recover = tree === undefined ? recoverAddress : rules.recoverTree;
  if (recover(signed, signature) === signer) return;
  throw new DomainError("ATTESTATION_INVALID", `the attestor's signature is not by ${signer}`, {
    metadata: { intentId: intent.intentId, digest: attestation.digest },
  });
}

/**
 * Whether an intent had the approvals that the policy of its time asked for. When its evidence was stored is not known here,
 * so an approval counts if it did when it was signed; what passed in a day without is counted by Clearing alone.
 */
function checkApprovals({ intent, attestation }: AttestedIntent, rules: AuditRules): void {
  const { digest, approvals = [] } = attestation;
  checkApprovalSignatures(digest, approvals, rules.digestApproval);
  const { policies } = rules;
  const demands = demandsOf(policies, intent);
  judgeApprovals(intent, demands, approvals, { policies, nowSeconds: undefined });
}

function catchFault(faults: Fault[], kind: FindingKind, check: () => void): void {
  try {
    check();
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    faults.push({ kind, detail: error.message });
  }
}

function faultsOf(
  transfer: CommittedTransfer,
  judged: Judged | undefined,
  signers: Signers,
): readonly Fault[] {
  if (judged === undefined) {
    const detail = `no evidence has the digest ${formatDigestPrefix(transfer)}… that it carries`;
    return [{ kind: "NO_EVIDENCE", detail }];
  }
  const { intent } = judged.evidence;
  const row = judged.rows.find(({ id }) => id === transfer.id);
  if (row === undefined) {
    const detail = `it carries the digest of intent ${intent.intentId} and is none of its legs`;
    return [{ kind: "NOT_A_LEG", detail }];
  }
  const differs = differences(row, transfer);
  const altered: Fault[] =
    differs.length === 0 ? [] : [{ kind: "ROW_ALTERED", detail: differs.join(", ") }];
  return [...judged.faults, ...altered, ...faultsOfTime(judged.evidence, transfer, signers)];
}

function differences(row: TransferRow, transfer: CommittedTransfer): string[] {
  const differs = differingFields(transfer, row).map(
    (field) => `${field} is ${transfer[field]} in the ledger and ${row[field]} by its intent`,
  );
  if (transfer.foreignFlags !== 0)
    differs.push(`it has the foreign flags ${transfer.foreignFlags}`);
  return differs;
}

/** What depends on when the transfer was committed. */
function faultsOfTime(
  { intent, attestation }: AttestedIntent,
  transfer: CommittedTransfer,
  signers: Signers,
): Fault[] {
  const faults: Fault[] = [];
  const commitTime = secondsOf(transfer);
  // A revocation overrides every date but this one: what cleared before it was trusted when it cleared.
  const { signer } = attestation;
  for (const time of signingTimes(intent, attestation)) {
    const trust = trustSigner(signers, signer, time, commitTime);
    if (trust.trusted) continue;
    faults.push({ kind: "SIGNER_NOT_TRUSTED", detail: `signer ${signer} ${distrust[trust.why]}` });
    break;
  }
  const late = commitTime - intent.expireTime;
  const early = intent.issueTime - commitTime;
  for (const [seconds, what] of [
    [late, "after it expired"],
    [early, "before it was issued"],
  ] as const) {
    if (seconds <= clockSkewSeconds) continue;
    faults.push({ kind: "CLEARED_OUT_OF_TIME", detail: `it cleared ${seconds} s ${what}` });
  }
  return faults;
}

const distrust = {
  UNKNOWN: "is no signer of this mesh",
  NOT_ACTIVE_THEN: "was not active when the intent was issued",
  REVOKED: "was revoked when the intent cleared",
} as const;

/** From the gravest on. */
const gravity: readonly FindingKind[] = [
  "NO_EVIDENCE",
  "NOT_A_LEG",
  "ATTESTATION_INVALID",
  "SIGNER_NOT_TRUSTED",
  "WALLET_SIGNATURE_INVALID",
  "NOT_APPROVED",
  "EVIDENCE_ALTERED",
  "ROW_ALTERED",
  "RULE_BROKEN",
  "CLEARED_OUT_OF_TIME",
  "DATED_BACK",
];

function findingOf(transfer: CommittedTransfer, faults: readonly Fault[]): Finding | undefined {
  if (faults.length === 0) return undefined;
  const gravest = gravity.find((kind) => faults.some((fault) => fault.kind === kind));
  if (gravest === undefined) throw new Error(`${faults[0]?.kind} has no gravity`);
  return { kind: gravest, detail: faults.map(({ detail }) => detail).join("; "), transfer };
}

/** True if the transfer is a leg of the intent whose digest it carries, whatever else is wrong with it. */
export function isLeg(finding: Finding | undefined): boolean {
  return finding?.kind !== "NO_EVIDENCE" && finding?.kind !== "NOT_A_LEG";
}
