import type { Position } from "#common/wire/cursor.ts";
import type { ListPlace } from "./list.ts";

const placeBytes = 8 + 8 + 1 + 8;

/** What is left of a list, in the bytes of a page token. */
export function packPlace({ after, through }: ListPlace): Buffer {
  const bytes = Buffer.alloc(placeBytes);
  bytes.writeBigUInt64BE(through, 0);
  bytes.writeBigUInt64BE(after.timestamp, 8);
  bytes.writeUInt8(after.kind === "COMMIT" ? 0 : 1, 16);
  bytes.writeBigUInt64BE(after.pendingTimestamp, 17);
  return bytes;
}

/** Reads what `packPlace` wrote. */
export function unpackPlace(bytes: Buffer): ListPlace {
  const after: Position = {
    timestamp: bytes.readBigUInt64BE(8),
    kind: bytes.readUInt8(16) === 0 ? "COMMIT" : "EXPIRY",
    pendingTimestamp: bytes.readBigUInt64BE(17),
  };
  return { after, through: bytes.readBigUInt64BE(0) };
}
