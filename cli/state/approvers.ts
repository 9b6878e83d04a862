import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import type { Settings } from "./settings.ts";
import { keepNewWallet, readWallets, type Wallet } from "./wallet-files.ts";
import { writeWhole } from "./write-whole.ts";

const names = ["approver-1", "approver-2", "approver-3"] as const;

const folder = (settings: Settings) => join(settings.state, "approvers");

/** The approvers whose keys lie here: those of a development mesh. */
export function readApprovers(settings: Settings): readonly Wallet[] {
  return readWallets(folder(settings));
}

/**
 * Makes the three demo approvers and a policy that asks for two of them, as far as they are not there. They outlive --fresh,
 * as wallets do. A mesh that is told of another policy, or of none, gets none.
 */
export function ensureApprovers(settings: Settings): void {
  const path = join(settings.state, "approvals.yaml");
  if (settings.approvalsPath !== path) return;
  const known = readApprovers(settings);
  const approvers = names.map(
    (name) => known.find((wallet) => wallet.name === name) ?? keepNewWallet(folder(settings), name),
  );
  const isThere = existsSync(path) && readFileSync(path, "utf8").trim() !== "";
  if (!isThere) writeWhole(path, policyOf(approvers, new Date()));
}

/** What the guide's business asks for: sovr.book.v1.ApprovalPolicyFile as YAML. */
function policyOf(approvers: readonly Wallet[], now: Date): string {
  const of = approvers.map(({ name, address }) => ({
    address,
    title: `demo approver, ./mesh approve --as ${name}`,
    subject: name,
  }));
  const file = {
    versions: [
      {
        activeFrom: `${now.toISOString().slice(0, 19)}Z`,
        approvals: {
          rules: [
            {
              name: "FUNDING_FROM_CASH",
              postingRules: ["FUNDING"],
              debitClasses: ["CASH"],
              amounts: [{ ledger: 1, from: "10000.01", fromADay: "50000.01" }],
              needs: 2,
              of,
            },
            { name: "EVERY_ADJUSTMENT", postingRules: ["ADJUSTMENT"], needs: 2, of },
          ],
        },
      },
    ],
  };
  const text = stringify(file, {
    aliasDuplicateObjects: false,
    defaultStringType: "QUOTE_DOUBLE",
    defaultKeyType: "PLAIN",
  });
  return `# Who moves house money: docs/approvals.md. What stands here is never changed once its time has come; put a new
# version behind it.
${text}`;
}
