import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { approvers, policyText } from "../../test/support/approval/approvals.ts";
import { rulesAt } from "./policy.ts";
import { readPolicies } from "./read-policies.ts";

const [a, b] = approvers;
const yaml = `# Who moves house money
versions:
  - activeFrom: 2026-01-01T00:00:00Z
    approvals:
      rules:
        - name: FUNDING_FROM_CASH
          postingRules: [FUNDING]
          debitClasses: [CASH]
          amounts:
            - { ledger: 1, from: "10000.01", from_a_day: "50000.01" }
          needs: 2
          of:
            - address: "${a.address}"
              title: Ada
              subject: ada
            - address: "${b.address.toLowerCase()}"
`;

describe("readPolicies", () => {
  test("reads YAML", () => {
    const { versions, revokeTimes } = readPolicies(yaml);
    expect(revokeTimes.size).toBe(0);
    expect(versions).toEqual([
      {
        activeFrom: 1_767_225_600n,
        rules: [
          {
            name: "FUNDING_FROM_CASH",
            codes: new Set([1]),
            debitClasses: new Set(["CASH"]),
            amounts: new Map([[1, { from: 1_000_001n, fromADay: 5_000_001n }]]),
            needs: 2,
            approvers: new Map([
              [a.address, { address: a.address, subject: "ada" }],
              [b.address, { address: b.address, subject: "" }],
            ]),
            proposerCounts: false,
          },
        ],
      },
    ]);
  });

  test("reads what docs/approvals.md shows", () => {
    const page = readFileSync(new URL("../../docs/approvals.md", import.meta.url), "utf8");
    const [, shown = ""] = /```yaml\n(.*?)```/s.exec(page) ?? [];
    const { versions, revokeTimes } = readPolicies(shown);
    expect(versions[0]?.rules[0]).toMatchObject({ name: "FUNDING_FROM_CASH", needs: 2 });
    expect(revokeTimes.size).toBe(1);
  });

  test("reads JSON, for it is YAML", () => {
    const [version] = readPolicies(policyText()).versions;
    expect(version?.rules.map(({ name }) => name)).toEqual([
      "FUNDING_FROM_CASH",
      "EVERY_ADJUSTMENT",
    ]);
  });

  test("a revocation holds in every version, and the earliest counts", () => {
    const [first = ""] = [policyText({ revokeTime: "2026-05-01T00:00:00Z" })];
    const later = policyText({ revokeTime: "2026-04-01T00:00:00Z" }).replace(
      "2026-01-01",
      "2026-02-01",
    );
    const versions = [first, later].flatMap((text) => JSON.parse(text).versions);
    const { revokeTimes } = readPolicies(JSON.stringify({ versions }));
    expect(revokeTimes).toEqual(new Map([[approvers[2].address, 1_775_001_600n]]));
  });

  const change = (from: string | RegExp, to: string) => yaml.replace(from, to);
  test.each([
    [
      "an unknown key",
      change("title: Ada", "tilte: Ada"),
      "line 14: versions[0].approvals.rules[0].of[0].tilte",
    ],
    [
      "a duplicate key",
      change("needs: 2", "needs: 2\n          needs: 1"),
      "line 12: Map keys must be unique",
    ],
    [
      "an address without quotes",
      change(`"${a.address}"`, "0x12"),
      "line 13: versions[0].approvals.rules[0].of[0].address: it must be a text",
    ],
    [
      "a checksum that is wrong",
      change(
        a.address,
        a.address.replace(/[a-f]/, (digit) => digit.toUpperCase()),
      ),
      "line 13: versions[0].approvals.rules[0].of[0].address: is in mixed case",
    ],
    [
      "an approver twice",
      change(b.address.toLowerCase(), a.address),
      "line 16: versions[0].approvals.rules[0].of[1].address",
    ],
    [
      "more needed than there are",
      change("needs: 2", "needs: 3"),
      "line 11: versions[0].approvals.rules[0].needs: must be at most 2",
    ],
    [
      "nobody needed",
      change("needs: 2", "needs: 0"),
      "line 11: versions[0].approvals.rules[0].needs",
    ],
    [
      "an unknown rule",
      change("[FUNDING]", "[FOUNDING]"),
      "line 7: versions[0].approvals.rules[0].posting_rules[0]: there is no rule FOUNDING",
    ],
    [
      "an unknown class",
      change("[CASH]", "[CACHE]"),
      "line 8: versions[0].approvals.rules[0].debit_classes[0]: there is no class CACHE",
    ],
    [
      "an unknown asset",
      change("ledger: 1", "ledger: 9"),
      "line 10: versions[0].approvals.rules[0].amounts[0].ledger: there is no asset 9",
    ],
    [
      "more decimals than the asset has",
      change("10000.01", "10000.001"),
      "line 10: versions[0].approvals.rules[0].amounts[0].from: the asset has 2 decimals",
    ],
    [
      "a day that is less than an intent",
      change("50000.01", "1.00"),
      "line 10: versions[0].approvals.rules[0].amounts[0].from_a_day",
    ],
    [
      "a number that is no text",
      change('"10000.01"', "10000.01"),
      "line 10: versions[0].approvals.rules[0].amounts[0].from: it must be a text",
    ],
    [
      "a time that is none",
      change("2026-01-01T00:00:00Z", "2026-02-30T00:00:00Z"),
      "line 3: versions[0].active_from",
    ],
    [
      "a part of a second",
      change("00:00:00Z", "00:00:00.5Z"),
      "line 3: versions[0].active_from: must be whole seconds",
    ],
    ["no version", "versions: []\n", "line 1: versions"],
    ["what is no YAML", "versions: [\n", "line 2: "],
    ["an alias", "versions: &v []\nother: *v\n", "line 2: an alias is not taken here"],
  ])("%s is refused with its line", (_what, text, message) => {
    expect(() => readPolicies(text)).toThrow(message);
  });

  test("versions come in the order of their times", () => {
    const { versions } = JSON.parse(policyText());
    expect(() => readPolicies(JSON.stringify({ versions: [...versions, ...versions] }))).toThrow(
      "versions[1].active_from: must be later than that of the version before",
    );
  });

  test("a policy names no more approvers than an attestation carries approvals", () => {
    const file = JSON.parse(policyText());
    const { rules } = file.versions[0].approvals;
    const of = (first: number) =>
      Array.from({ length: 9 }, (_, index) => ({
        address: `0x${(first + index).toString(16).padStart(40, "0")}`,
      }));
    rules[0].of = of(1);
    rules[1].of = of(100);
    expect(() => readPolicies(JSON.stringify(file))).toThrow("at most 16 approvers in all");
  });
});

test("an intent is judged by the version of its time", () => {
  const { versions } = JSON.parse(policyText());
  const none = { activeFrom: "2026-06-01T00:00:00Z" };
  const policies = readPolicies(JSON.stringify({ versions: [...versions, none] }));
  const [first, second] = policies.versions.map(({ activeFrom }) => activeFrom);
  if (first === undefined || second === undefined) throw new Error("two versions were written");
  expect(rulesAt(policies, first - 1n)).toEqual([]);
  expect(rulesAt(policies, first)).toHaveLength(2);
  expect(rulesAt(policies, second - 1n)).toHaveLength(2);
  expect(rulesAt(policies, second)).toEqual([]);
});
