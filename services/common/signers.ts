import { parseWallet } from "./wallet.ts";

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
  if (typeof address !== "string") throw new Error(`signers[${index}].address: must be a string`);
  return {
    address: parseWallet(address, `signers[${index}].address`),
    activateTime: parseTime(activateTime, `signers[${index}].activateTime`),
    retireTime:
      retireTime === undefined ? undefined : parseTime(retireTime, `signers[${index}].retireTime`),
    revokeTime:
      revokeTime === undefined ? undefined : parseTime(revokeTime, `signers[${index}].revokeTime`),
  };
}

function parseTime(value: unknown, field: string): bigint {
  const ms = typeof value === "string" ? Date.parse(value) : Number.NaN;
  if (!Number.isFinite(ms)) throw new Error(`${field}: must be an RFC 3339 time`);
  return BigInt(Math.floor(ms / 1000));
}

/** A signer's standing at `now`, Unix seconds. */
export function signerState(signer: Signer, now: bigint): SignerState {
  if (signer.revokeTime !== undefined && now >= signer.revokeTime) return "REVOKED";
  if (now < signer.activateTime) return "PENDING";
  if (signer.retireTime !== undefined && now >= signer.retireTime) return "RETIRED";
  return "ACTIVE";
}

/** The signer that signs intents issued at `issueTime`: of those active then, the one activated last. */
export function signerAt(signers: Signers, issueTime: bigint, now: bigint): Signer | undefined {
  return signers.findLast(
    (signer) =>
      signer.activateTime <= issueTime &&
      (signer.retireTime === undefined || issueTime < signer.retireTime) &&
      signerState(signer, now) !== "REVOKED",
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
  now: bigint,
): Trust {
  const signer = signers.find((candidate) => candidate.address === address);
  if (signer === undefined) return { trusted: false, why: "UNKNOWN" };
  if (signerState(signer, now) === "REVOKED") return { trusted: false, why: "REVOKED" };
  const active =
    issueTime >= signer.activateTime - signerSkewSeconds &&
    (signer.retireTime === undefined || issueTime < signer.retireTime + signerSkewSeconds);
  return active ? { trusted: true } : { trusted: false, why: "NOT_ACTIVE_THEN" };
}
