import { hash } from "node:crypto";
import { DomainError } from "#common/domain-error.ts";

/**
 * A place in the one order of events. An expiry's instant may be another event's timestamp as well and comes
 * after it, so the order is by timestamp, then kind, then the timestamp of the transfer that expired.
 */
export interface Position {
  /** u64 nanoseconds. */
  readonly timestamp: bigint;
  readonly kind: "COMMIT" | "EXPIRY";
  /** u64 nanoseconds; 0 unless the kind is EXPIRY. */
  readonly pendingTimestamp: bigint;
}

/** Before the first event. */
export const beginning: Position = { timestamp: 0n, kind: "COMMIT", pendingTimestamp: 0n };

/** The place after everything that happened at or before a timestamp, expiries included. */
export function endOf(timestamp: bigint): Position {
  return { timestamp, kind: "EXPIRY", pendingTimestamp: (1n << 64n) - 1n };
}

/** Orders two places: negative, zero or positive. */
export function comparePositions(a: Position, b: Position): number {
  if (a.timestamp !== b.timestamp) return a.timestamp < b.timestamp ? -1 : 1;
  if (a.kind !== b.kind) return a.kind === "COMMIT" ? -1 : 1;
  if (a.pendingTimestamp !== b.pendingTimestamp) {
    return a.pendingTimestamp < b.pendingTimestamp ? -1 : 1;
  }
  return 0;
}

const version = 1;
const checkedBytes = 1 + 16 + 8 + 1 + 8;
const checksumBytes = 6;

/** Encodes a place on a cluster as an opaque cursor: version, cluster id, position, checksum. */
export function formatCursor(clusterId: bigint, position: Position): string {
  const bytes = Buffer.alloc(checkedBytes + checksumBytes);
  bytes.writeUInt8(version, 0);
  bytes.writeBigUInt64BE(clusterId >> 64n, 1);
  bytes.writeBigUInt64BE(clusterId & 0xffff_ffff_ffff_ffffn, 9);
  bytes.writeBigUInt64BE(position.timestamp, 17);
  bytes.writeUInt8(position.kind === "COMMIT" ? 0 : 1, 25);
  bytes.writeBigUInt64BE(position.pendingTimestamp, 26);
  bytes.write(checksum(bytes), checkedBytes, "hex");
  return bytes.toString("base64url");
}

/** Decodes a cursor. Throws CURSOR_INVALID if it is garbled, CURSOR_WRONG_CLUSTER if it is another cluster's. */
export function parseCursor(text: string, clusterId: bigint, field: string): Position {
  const bytes = Buffer.from(text, "base64url");
  const kind = bytes[25];
  if (
    bytes.length !== checkedBytes + checksumBytes ||
    bytes.toString("base64url") !== text ||
    bytes[0] !== version ||
    (kind !== 0 && kind !== 1) ||
    checksum(bytes) !== bytes.toString("hex", checkedBytes)
  ) {
    throw new DomainError("CURSOR_INVALID", `${field}: not a cursor of this mesh`, {
      metadata: { field },
    });
  }
  const cursorCluster = (bytes.readBigUInt64BE(1) << 64n) | bytes.readBigUInt64BE(9);
  if (cursorCluster !== clusterId) {
    throw new DomainError("CURSOR_WRONG_CLUSTER", `${field}: a cursor of another cluster`, {
      metadata: { clusterId: clusterId.toString(), cursorClusterId: cursorCluster.toString() },
    });
  }
  return {
    timestamp: bytes.readBigUInt64BE(17),
    kind: kind === 0 ? "COMMIT" : "EXPIRY",
    pendingTimestamp: bytes.readBigUInt64BE(26),
  };
}

const checksumDomain = Buffer.from("sovr/cursor/v1", "ascii");

/** In hex. Guards against slips of hand, not against forgers: a cursor grants nothing. */
function checksum(bytes: Buffer): string {
  const checked = Buffer.concat([checksumDomain, bytes.subarray(0, checkedBytes)]);
  return hash("sha256", checked, "hex").slice(0, 2 * checksumBytes);
}
