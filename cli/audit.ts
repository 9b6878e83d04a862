import { performance } from "node:perf_hooks";
import type { Progress } from "./audit/audit-ledger.ts";
import { type AuditConfig, auditConfig } from "./audit/config.ts";
import {
  findingJson,
  findingText,
  instantText,
  progressText,
  summaryJson,
  summaryText,
} from "./audit/text.ts";
import { runAuditOnThread } from "./audit/thread.ts";
import { readArguments, runCommand } from "./command/command.ts";
import { Problem } from "./command/problem.ts";
import { withRecords } from "./supervisor/with-records.ts";

const usage = "./mesh audit [--checkpoint FILE] [--findings MAX] [--json]";

runCommand(async () => {
  const { values, positionals } = readArguments(
    {
      checkpoint: { type: "string" },
      findings: { type: "string", default: "100" },
      json: { type: "boolean", default: false },
    },
    usage,
  );
  if (positionals.length > 0) throw new Problem(`unexpected "${positionals[0]}" (usage: ${usage})`);
  if (!/^[0-9]{1,6}$/.test(values.findings)) {
    throw new Problem(`--findings ${values.findings}: give a number below a million`);
  }
  const { checkpoint, findings, json } = values;
  return withRecords(
    process.env,
    (environment) =>
      audit(auditConfig(environment), { checkpoint, findingsMax: Number(findings), json }),
    "as it is",
  );
});

interface Wishes {
  readonly checkpoint: string | undefined;
  readonly findingsMax: number;
  readonly json: boolean;
}

/** Audits and prints. Returns the exit code. */
async function audit(
  config: AuditConfig,
  { checkpoint, findingsMax, json }: Wishes,
): Promise<number> {
  const started = performance.now();
  const progress = progressLine();
  const say = (text: string) => {
    progress.clear();
    console.log(text);
  };
  const result = await runAuditOnThread(config, {
    findingsMax,
    checkpointFile: checkpoint,
    onResume: ({ transfers, timestamp }) =>
      console.error(
        `mesh: goes on from ${checkpoint}, trusting it that the ${transfers} transfers up to ${instantText(timestamp)} were audited, and that they and their evidence are as they were`,
      ),
    onFinding: (finding) => say(json ? findingJson(finding) : findingText(finding)),
    onProgress: progress.show,
  });
  const seconds = (performance.now() - started) / 1_000;
  progress.clear();
  const listed = Math.min(result.findingCount, findingsMax);
  if (json) {
    console.log(summaryJson(result, seconds));
  } else {
    if (listed < result.findingCount) {
      console.log(`… and ${result.findingCount - listed} more findings (--findings lists more)`);
    }
    console.error(`as of ${instantText(result.instant)}, in ${seconds.toFixed(1)} s`);
    console.log(summaryText(result));
  }
  return result.findingCount === 0 ? 0 : 1;
}

/** The last line of a terminal that is written over and over; nothing where there is none. */
function progressLine(): { show(progress: Progress): void; clear(): void } {
  const { stderr } = process;
  if (!stderr.isTTY) return { show: () => undefined, clear: () => undefined };
  let from: { readonly atMs: number; readonly transfers: number } | undefined;
  return {
    show: (progress) => {
      const nowMs = performance.now();
      // What a checkpoint brought was not read now.
      from ??= { atMs: nowMs, transfers: progress.transfers };
      const rate = ((progress.transfers - from.transfers) * 1_000) / (nowMs - from.atMs || 1);
      stderr.write(`\r\u001b[K${progressText(progress, rate)}`);
    },
    clear: () => stderr.write("\r\u001b[K"),
  };
}
