import { parseWallet } from "#common/address.ts";
import { DomainError } from "#common/domain-error.ts";
import { postingCodes } from "#common/intent/posting-codes.ts";
import { findAsset } from "#common/ledger/assets.ts";
import { type AccountClass, accountClasses } from "#common/ledger/chart.ts";
import { readYaml, YamlError } from "#common/yaml/read-yaml.ts";
import {
  ApprovalPolicyFileSchema,
  type ApprovalPolicy as PolicyProto,
  type ApprovalRule as RuleProto,
} from "#gen/sovr/book/v1/approvals_pb.ts";
import { approvalsMax } from "./approval.ts";
import type { ApprovalRule, Approver, FreeAmount, Policies, PolicyVersion } from "./policy.ts";

/** Throws Error that says what is wrong with the field at a path. */
export type Refuse = (field: string, description: string) => never;

/** What the names of a policy stand for. */
export interface ApprovalWords {
  /** The code of a posting rule; undefined if there is none. */
  codeOf(name: string): number | undefined;
  hasClass(name: string): boolean;
  /** The scale of an asset; undefined if there is none. */
  scaleOf(ledger: number): number | undefined;
}

/** The words of the chart. */
const chartWords: ApprovalWords = {
  codeOf: (name) =>
    Object.hasOwn(postingCodes, name) ? postingCodes[name as keyof typeof postingCodes] : undefined,
  hasClass: (name) => Object.hasOwn(accountClasses, name),
  scaleOf: (ledger) => findAsset(ledger)?.scale,
};

/**
 * Reads a file of policies, YAML or JSON in the JSON mapping of sovr.book.v1.ApprovalPolicyFile. Throws Error that names the
 * line, the field and what is wrong.
 */
export function readPolicies(text: string): Policies {
  const { message, placeOf } = readYaml(ApprovalPolicyFileSchema, text);
  const refuse: Refuse = (field, description) => {
    throw new YamlError([{ ...placeOf(field), field, description }]);
  };
  const revokeTimes = new Map<string, bigint>();
  let before = -1n;
  const versions = message.versions.map(({ activeFrom, approvals }, index): PolicyVersion => {
    const field = `versions[${index}]`;
    const seconds = activeFrom?.seconds ?? -1n;
    if (activeFrom?.nanos !== 0) refuse(`${field}.active_from`, "must be whole seconds");
    if (seconds <= before)
      refuse(`${field}.active_from`, "must be later than that of the version before");
    before = seconds;
    const rules =
      approvals === undefined
        ? []
        : readApprovalRules(approvals, `${field}.approvals`, chartWords, refuse);
    for (const [address, revokeTime] of revocationsIn(approvals)) {
      const known = revokeTimes.get(address);
      // Whoever is revoked is so in every version, also in those that do not say it.
      if (known === undefined || revokeTime < known) revokeTimes.set(address, revokeTime);
    }
    return { activeFrom: seconds, rules };
  });
  return { versions, revokeTimes };
}

function* revocationsIn(approvals: PolicyProto | undefined): Generator<[string, bigint]> {
  for (const { of } of approvals?.rules ?? []) {
    for (const { address, revokeTime } of of) {
      if (revokeTime !== undefined) yield [parseWallet(address, "address"), revokeTime.seconds];
    }
  }
}

/** The rules of a policy, as a book holds it too. `field`: the path to it. Throws what `refuse` does. */
export function readApprovalRules(
  policy: PolicyProto,
  field: string,
  words: ApprovalWords,
  refuse: Refuse,
): readonly ApprovalRule[] {
  const names = new Set<string>();
  const approvers = new Set<string>();
  return policy.rules.map((rule, index) => {
    const path = `${field}.rules[${index}]`;
    if (names.has(rule.name)) refuse(`${path}.name`, `the name ${rule.name} stands there twice`);
    names.add(rule.name);
    const read = readRule(rule, path, words, refuse);
    for (const address of read.approvers.keys()) approvers.add(address);
    if (approvers.size > approvalsMax)
      refuse(`${path}.of`, `a policy names at most ${approvalsMax} approvers in all`);
    return read;
  });
}

function readRule(
  rule: RuleProto,
  field: string,
  words: ApprovalWords,
  refuse: Refuse,
): ApprovalRule {
  const approvers = readApprovers(rule, field, refuse);
  if (rule.needs > approvers.size)
    refuse(`${field}.needs`, `must be at most ${approvers.size}, as many as there are approvers`);
  return {
    name: rule.name,
    codes: new Set(
      rule.postingRules.map(
        (name, index) =>
          words.codeOf(name) ??
          refuse(`${field}.posting_rules[${index}]`, `there is no rule ${name}`),
      ),
    ),
    debitClasses: readClasses(rule, field, words, refuse),
    amounts: readAmounts(rule, field, words, refuse),
    needs: rule.needs,
    approvers,
    proposerCounts: rule.proposerCounts,
  };
}

function readClasses(
  { debitClasses }: RuleProto,
  field: string,
  words: ApprovalWords,
  refuse: Refuse,
): ReadonlySet<AccountClass> | undefined {
  if (debitClasses.length === 0) return undefined;
  for (const [index, name] of debitClasses.entries()) {
    if (!words.hasClass(name))
      refuse(`${field}.debit_classes[${index}]`, `there is no class ${name}`);
  }
  return new Set(debitClasses as AccountClass[]);
}

function readApprovers(
  { of }: RuleProto,
  field: string,
  refuse: Refuse,
): ReadonlyMap<string, Approver> {
  const approvers = new Map<string, Approver>();
  for (const [index, { address: text, subject }] of of.entries()) {
    const path = `${field}.of[${index}].address`;
    const address = readAddress(text, path, refuse);
    if (approvers.has(address)) refuse(path, `${address} stands there twice`);
    approvers.set(address, { address, subject });
  }
  return approvers;
}

function readAddress(text: string, field: string, refuse: Refuse): string {
  try {
    return parseWallet(text, field);
  } catch (error) {
    const [violation] = error instanceof DomainError ? error.violations : [];
    return refuse(field, violation?.description ?? "is no address");
  }
}

function readAmounts(
  { amounts }: RuleProto,
  field: string,
  words: ApprovalWords,
  refuse: Refuse,
): ReadonlyMap<number, FreeAmount> {
  const read = new Map<number, FreeAmount>();
  for (const [index, { ledger, from, fromADay }] of amounts.entries()) {
    const path = `${field}.amounts[${index}]`;
    const scale = words.scaleOf(ledger);
    if (scale === undefined) refuse(`${path}.ledger`, `there is no asset ${ledger}`);
    if (read.has(ledger)) refuse(`${path}.ledger`, `asset ${ledger} stands there twice`);
    const free = {
      from: minorUnits(from, scale ?? 0, `${path}.from`, refuse),
      fromADay: minorUnits(fromADay, scale ?? 0, `${path}.from_a_day`, refuse),
    };
    if (free.fromADay < free.from) refuse(`${path}.from_a_day`, "must not be less than `from`");
    read.set(ledger, free);
  }
  return read;
}

/** A decimal of whole units, in minor units. */
function minorUnits(text: string, scale: number, field: string, refuse: Refuse): bigint {
  const [whole = "", fraction = ""] = text.split(".");
  if (fraction.length > scale) refuse(field, `the asset has ${scale} decimals`);
  return BigInt(whole + fraction.padEnd(scale, "0"));
}
