import type { AttestedTree } from "#common/intent/intent.ts";

// A column `tree`: when the tree was signed, i64 big-endian (Unix seconds), then the proof as it came.

const timeBytes = 8;

/** Packs a column `tree`: lower-case `0x` hex; "" if the signature is the intent's own. */
export function packTree(tree: AttestedTree | undefined): string {
  if (tree === undefined) return "";
  const time = Buffer.alloc(timeBytes);
  time.writeBigInt64BE(tree.issueTime);
  return `0x${time.toString("hex")}${tree.proof.slice(2)}`;
}

/** What of an attestation a column `tree` holds: nothing where it is null, or is not there yet. */
export function treeOf(column: Buffer | null | undefined): { readonly tree?: AttestedTree } {
  if (!column) return {};
  const proof = `0x${column.toString("hex", timeBytes)}`;
  return { tree: { proof, issueTime: column.readBigInt64BE(0) } };
}
