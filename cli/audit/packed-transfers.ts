import type { Phase } from "#common/intent/intent.ts";
import type { CommittedTransfer } from "#common/ledger/transfer-rows.ts";

/** Transfers in 17 words each: outside of the heap while they wait, and cheap to send to another thread. */
export type PackedTransfers = BigUint64Array<ArrayBuffer>;

const rowWords = 17;
const phases: readonly Phase[] = ["IMMEDIATE", "PENDING", "POST_PENDING", "VOID_PENDING"];
const wideFields = [
  "id",
  "debitAccountId",
  "creditAccountId",
  "amount",
  "pendingId",
  "userData128",
] as const satisfies readonly (keyof CommittedTransfer)[];

/** Packs transfers, in order. */
export function packTransfers(transfers: readonly CommittedTransfer[]): PackedTransfers {
  const words = new BigUint64Array(transfers.length * rowWords);
  let at = 0;
  for (const transfer of transfers) {
    for (const field of wideFields) {
      const value = transfer[field];
      // A word takes the low 64 bits of what it is given.
      words[at++] = value;
      words[at++] = value >> 64n;
    }
    words[at++] = transfer.userData64;
    words[at++] = transfer.timestamp;
    words[at++] = BigInt(transfer.userData32) | (BigInt(transfer.timeout) << 32n);
    words[at++] = BigInt(transfer.ledger) | (BigInt(kindOf(transfer)) << 32n);
    words[at++] = BigInt(transfer.foreignFlags);
  }
  return words;
}

/** Code in 16 bits, phase in 2, `linked` in 1. */
function kindOf({ code, phase, linked }: CommittedTransfer): number {
  return code | (phases.indexOf(phase) << 16) | (linked ? 1 << 18 : 0);
}

/** How many transfers a pack holds. */
export function packedCount(words: PackedTransfers): number {
  return words.length / rowWords;
}

/** The transfers of a pack, in order. */
export function unpackTransfers(words: PackedTransfers): CommittedTransfer[] {
  return Array.from({ length: packedCount(words) }, (_, row) => unpackOne(words, row * rowWords));
}

function unpackOne(words: PackedTransfers, at: number): CommittedTransfer {
  const word = (index: number) => words[at + index] ?? 0n;
  const wide = (index: number) => (word(index + 1) << 64n) | word(index);
  const numbers = word(14);
  const rest = word(15);
  const kind = Number(rest >> 32n);
  const phase = phases[(kind >>> 16) & 3];
  if (phase === undefined) throw new RangeError("not a packed transfer");
  return {
    id: wide(0),
    debitAccountId: wide(2),
    creditAccountId: wide(4),
    amount: wide(6),
    pendingId: wide(8),
    userData128: wide(10),
    userData64: word(12),
    timestamp: word(13),
    userData32: Number(numbers & 0xffff_ffffn),
    timeout: Number(numbers >> 32n),
    ledger: Number(rest & 0xffff_ffffn),
    code: kind & 0xffff,
    phase,
    linked: (kind & (1 << 18)) !== 0,
    foreignFlags: Number(word(16)),
  };
}
