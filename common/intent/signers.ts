import { parseWallet } from "#common/address.ts";

/** A key that attests, or once did. Times are Unix seconds. */
export interface Signer {
  /** EIP-55. */
  readonly address: string;
  readonly activateTime: bigint;
  readonly retireTime: bigint | undefined;
  readonly revokeTime: bigint | undefined;
}

export type SignerState = "PENDING" | "ACTIVE" | "RETIRED" | "REVOKED";

/** Every signer that ever was, by activation. Entries are never deleted: old attestations must stay verifiable. */
export type Signers = readonly Signer[];

/** How far `issue_time` may lie outside a signer's active span, in seconds: clocks differ. */
export const signerSkewSeconds = 300n;

/**
 * Parses the signers file: a JSON array of `{address, activateTime, retireTime?, revokeTime?}` with RFC 3339
 * times. Throws Error that names the entry and what is wrong with it.
 */
export function parseSigners(json: string): Signers {
  const entries: unknown = JSON.parse(json);
  if (!Array.isArray(entries) || entries.length === 0 || entries.length > 10_000) {
    throw new Error("signers: must be a JSON array of 1 to 10000 entries");
  }
  const signers = entries.map(parseSigner);
  signers.sort((a, b) => Number(a.activateTime - b.activateTime));
  const addresses = new Set(signers.map((signer) => signer.address));
  if (addresses.size !== signers.length) throw new Error("signers: an address stands there twice");
  return signers;
}

function parseSigner(entry: unknown, index: number): Signer {
  if (typeof entry !== "object" || entry === null) {
    throw new Error(`signers[${index}]: must be an object`);
  }
  const { address, activateTime, retireTime, revokeTime } = entry as Record<string, unknown>;
  const field = (name: string) => `signers[${index}].${name}`;
  if (typeof address !== "string") throw new Error(`${field("address")}: must be a string`);
  const signer: Signer = {
    address: parseWallet(address, field("address")),
    activateTime: parseTime(activateTime, field("activateTime")),
    retireTime: parseOptionalTime(retireTime, field("retireTime")),
    revokeTime: parseOptionalTime(revokeTime, field("revokeTime")),
  };
  if (signer.retireTime !== undefined && signer.retireTime <= signer.activateTime) {
    throw new Error(`${field("retireTime")}: must be after activateTime`);
  }
  return signer;
}

const rfc3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/;

function parseTime(value: unknown, field: string): bigint {
  // Date.parse alone takes much else for a time, "1" and "May" among it.
  const ms = typeof value === "string" && rfc3339.test(value) ? Date.parse(value) : Number.NaN;
  if (!Number.isFinite(ms)) throw new Error(`${field}: must be an RFC 3339 time`);
  return BigInt(Math.floor(ms / 1000));
}

function parseOptionalTime(value: unknown, field: string): bigint | undefined {
  return value === undefined ? undefined : parseTime(value, field);
}

/** A signer's standing at an instant of Unix seconds. */
export function signerState(signer: Signer, nowSeconds: bigint): SignerState {
  if (signer.revokeTime !== undefined && nowSeconds >= signer.revokeTime) return "REVOKED";
  if (nowSeconds < signer.activateTime) return "PENDING";
  if (signer.retireTime !== undefined && nowSeconds >= signer.retireTime) return "RETIRED";
  return "ACTIVE";
}

/**
 * The signer that signs intents issued at `issueTime`: of those active then, the one activated last. If there is
 * none, one that verification accepts because clocks differ: the first signer's first minutes, a gap between two.
 */
export function signerAt(
  signers: Signers,
  issueTime: bigint,
  nowSeconds: bigint,
): Signer | undefined {
  const activeWithin = (skew: bigint) =>
    signers.findLast(
      (signer) =>
        signerState(signer, nowSeconds) !== "REVOKED" && isActiveAround(signer, issueTime, skew),
    );
  return activeWithin(0n) ?? activeWithin(signerSkewSeconds);
}

/** Whether a signer was active at `time`, give or take `skew` seconds. */
function isActiveAround(signer: Signer, time: bigint, skew: bigint): boolean {
  return (
    time >= signer.activateTime - skew &&
    (signer.retireTime === undefined || time < signer.retireTime + skew)
  );
}

export type Trust =
  | { readonly trusted: true }
  | { readonly trusted: false; readonly why: "UNKNOWN" | "NOT_ACTIVE_THEN" | "REVOKED" };

/** Whether a signer may stand under an intent issued at `issueTime`. Revocation overrides every date. */
export function trustSigner(
  signers: Signers,
  address: string,
  issueTime: bigint,
  nowSeconds: bigint,
): Trust {
  const signer = signers.find((candidate) => candidate.address === address);
  if (signer === undefined) return { trusted: false, why: "UNKNOWN" };
  if (signerState(signer, nowSeconds) === "REVOKED") return { trusted: false, why: "REVOKED" };
  return isActiveAround(signer, issueTime, signerSkewSeconds)
    ? { trusted: true }
    : { trusted: false, why: "NOT_ACTIVE_THEN" };
}
