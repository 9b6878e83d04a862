import { parentPort, workerData } from "node:worker_threads";
import { approvalDigester } from "#common/approval/digest.ts";
import { DomainError } from "#common/domain-error.ts";
import { domainEncoder, intentDigester } from "#common/intent/digest.ts";
import { rememberTrees } from "#common/intent/remember-trees.ts";
import { recoverAddress } from "#common/intent/signature.ts";
import { batchDigester } from "#common/tree/attestation-batch.ts";
import { examineTransfers } from "./examine-transfers.ts";
import type { ExaminerAnswer, ExaminerConfig, ExaminerTask } from "./examiners.ts";
import { unpackTransfers } from "./packed-transfers.ts";
import { openAuditRecords } from "./postgres.ts";

// One thread of the examiners: its own connection, its own digester. What it throws ends the audit.
const config = workerData as ExaminerConfig;
const records = openAuditRecords(config.databaseUrl);
const encode = domainEncoder(config.domain);
const examine = examineTransfers(records, {
  digestIntent: intentDigester(config.domain),
  digestBatch: batchDigester(encode),
  recoverTree: rememberTrees(recoverAddress),
  digestApproval: approvalDigester(encode),
  signers: config.signers,
  policies: config.policies,
});

parentPort?.on("message", (message: ExaminerTask | "close") => {
  if (message === "close") void records.close().then(() => parentPort?.close());
  else void answer(message).then((found) => parentPort?.postMessage(found));
});

async function answer({ id, page }: ExaminerTask): Promise<ExaminerAnswer> {
  try {
    return { id, findings: await examine(unpackTransfers(page)) };
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    return { id, unavailable: error.message };
  }
}
