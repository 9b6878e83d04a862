import { readFileSync } from "node:fs";
import type { Signers } from "#common/intent/signers.ts";
import { Problem } from "../command/problem.ts";
import { writeWhole } from "../state/write-whole.ts";
import type { AuditState } from "./audit-ledger.ts";

/** What a checkpoint belongs to. */
export interface CheckpointScope {
  /** u128. */
  readonly clusterId: bigint;
  /** The salt of the signing domain. */
  readonly salt: string;
  readonly signers: Signers;
}

interface Checkpoint {
  readonly version: typeof version;
  readonly scope: CheckpointScope;
  readonly state: AuditState;
}

/** Of the file's form; another one is not read. */
const version = 1;

/** Writes a checkpoint: whole or not at all. A Problem if it cannot. */
export function writeCheckpoint(file: string, scope: CheckpointScope, state: AuditState): void {
  const checkpoint: Checkpoint = { version, scope, state };
  const text = JSON.stringify(checkpoint, (_, value: unknown) =>
    typeof value === "bigint" ? `${value}n` : value,
  );
  try {
    writeWhole(file, text);
  } catch (error) {
    throw new Problem(`the checkpoint cannot be written: ${(error as Error).message}`);
  }
}

/**
 * Reads a checkpoint; undefined if there is no such file. A Problem if it belongs to another mesh, or if a signer that
 * was trusted when it was written has been revoked or retired since as of an earlier time.
 */
export function readCheckpoint(file: string, scope: CheckpointScope): AuditState | undefined {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new Problem(`the checkpoint cannot be read: ${(error as Error).message}`);
  }
  const checkpoint = parse(file, text);
  if (checkpoint.scope.clusterId !== scope.clusterId || checkpoint.scope.salt !== scope.salt) {
    throw new Problem(`the checkpoint ${file} belongs to another mesh: delete it, or name another`);
  }
  const changed = withdrawn(checkpoint, scope.signers);
  if (changed === undefined) return checkpoint.state;
  throw new Problem(
    `signer ${changed} was withdrawn as of a time that ${file} counts as audited: delete the file and audit anew`,
  );
}

function parse(file: string, text: string): Checkpoint {
  let checkpoint: Checkpoint;
  try {
    checkpoint = JSON.parse(text, (_, value: unknown) =>
      typeof value === "string" && /^[0-9]+n$/.test(value) ? BigInt(value.slice(0, -1)) : value,
    ) as Checkpoint;
  } catch {
    throw new Problem(`the checkpoint ${file} is damaged: delete it and audit anew`);
  }
  if (checkpoint.version === version) return checkpoint;
  throw new Problem(`the checkpoint ${file} is of another version: delete it and audit anew`);
}

/** The signer of then, if any, whose trust now ends before what was audited did. */
function withdrawn({ scope, state }: Checkpoint, signers: Signers): string | undefined {
  const audited = state.timestamp / 1_000_000_000n;
  return scope.signers.find((then) => {
    const now = signers.find(({ address }) => address === then.address);
    if (now === undefined || now.activateTime !== then.activateTime) return true;
    return (["retireTime", "revokeTime"] as const).some(
      (end) => now[end] !== then[end] && (now[end] ?? audited) <= audited,
    );
  })?.address;
}
