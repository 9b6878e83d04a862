import { walletBytes } from "#common/address.ts";
import { keccak256 } from "#common/keccak256.ts";
import type { Intent, Phase, Posting } from "./intent.ts";
import { intentTypes } from "./typed-data.ts";

/** The EIP-712 domain under which intents are signed. */
export interface IntentDomain {
  readonly name: string;
  readonly version: string;
  readonly chainId: bigint;
  /** 20 bytes, EIP-55. */
  readonly verifyingContract: string;
  /** 32 bytes as lower-case `0x` hex. */
  readonly salt: string;
}

/** What makes the domain of one mesh: a signature for one environment and cluster is worthless on another. */
export interface IntentDomainSource {
  readonly environment: string;
  /** u128: TigerBeetle's cluster id. */
  readonly clusterId: bigint;
  readonly chainId: bigint;
  readonly verifyingContract: string;
}

/** The domain of a mesh. */
export function intentDomain(source: IntentDomainSource): IntentDomain {
  const salted = `sovr/${source.environment}/${source.clusterId}`;
  return {
    name: "SOVR Attestor",
    version: "1",
    chainId: source.chainId,
    verifyingContract: source.verifyingContract,
    salt: `0x${Buffer.from(keccak256(Buffer.from(salted, "utf8"))).toString("hex")}`,
  };
}

/** Computes the EIP-712 digest of an intent: 32 bytes as lower-case `0x` hex. */
export type DigestIntent = (intent: Intent) => string;

const postingWords = 6;
const intentWords = 12;
const postingType = encodeType("Posting");
const intentType = encodeType("ClearingIntent") + postingType;
const postingTypeHash = keccak256(Buffer.from(postingType, "ascii"));
const intentTypeHash = keccak256(Buffer.from(intentType, "ascii"));
const emptyHash = keccak256(new Uint8Array(0));
const phaseHashes: Readonly<Record<Phase, Uint8Array>> = {
  IMMEDIATE: hashText("IMMEDIATE"),
  PENDING: hashText("PENDING"),
  POST_PENDING: hashText("POST_PENDING"),
  VOID_PENDING: hashText("VOID_PENDING"),
};

/** Puts the hash of a struct, 32 bytes, behind 19 01 and the domain: the 66 bytes whose keccak-256 is signed. */
export type DomainEncoder = (structHash: Uint8Array) => Uint8Array;

/** Makes the encoder of a domain, for what is signed under it beside intents. */
export function domainEncoder(domain: IntentDomain): DomainEncoder {
  const head = Buffer.concat([Buffer.of(0x19, 0x01), domainSeparator(domain)]);
  return (structHash) => Buffer.concat([head, structHash]);
}

/** Makes the digest function of a domain. */
export function intentDigester(domain: IntentDomain): DigestIntent {
  const write = intentWriter(domain);
  return (intent) => `0x${Buffer.from(keccak256(write(intent))).toString("hex")}`;
}

/** Makes the function that gives the 66 bytes whose keccak-256 the digest is: 19 01, the domain, the intent. */
export function intentEncoder(domain: IntentDomain): (intent: Intent) => Uint8Array {
  const write = intentWriter(domain);
  return (intent) => Buffer.from(write(intent));
}

/**
 * Writes the encoding by hand into buffers that it reuses, also for what it returns: an order of magnitude faster than a
 * general encoder; the tests hold it against ethers. Not re-entrant, and need not be: it never waits.
 */
function intentWriter(domain: IntentDomain): (intent: Intent) => Uint8Array {
  const posting = Buffer.alloc(postingWords * 32);
  posting.set(postingTypeHash, 0);
  const intentStruct = Buffer.alloc(intentWords * 32);
  intentStruct.set(intentTypeHash, 0);
  const postingHashes = Buffer.alloc(64 * 32);
  const envelope = Buffer.alloc(2 + 32 + 32);
  envelope[0] = 0x19;
  envelope[1] = 0x01;
  envelope.set(domainSeparator(domain), 2);

  return (intent) => {
    for (const [index, item] of intent.postings.entries()) {
      writePosting(posting, item);
      postingHashes.set(keccak256(posting), index * 32);
    }
    const struct = intentStruct;
    struct.set(hashText(intent.intentId), 32);
    struct.set(phaseHashes[intent.phase], 64);
    struct.set(walletBytes(intent.wallet), 96 + 12);
    struct.set(hashText(intent.merchantId), 128);
    struct.set(hashText(intent.reference), 160);
    struct.set(keccak256(postingHashes.subarray(0, intent.postings.length * 32)), 192);
    writeBytes32(struct, intent.corrects, 224);
    struct.set(hashText(intent.pendingIntentId), 256);
    struct.writeUInt32BE(intent.timeoutSeconds, 288 + 28);
    struct.writeBigUInt64BE(intent.issueTime, 320 + 24);
    struct.writeBigUInt64BE(intent.expireTime, 352 + 24);
    envelope.set(keccak256(struct), 34);
    return envelope;
  };
}

function writePosting(target: Buffer, posting: Posting): void {
  writeU128(target, posting.debitAccountId, 32);
  writeU128(target, posting.creditAccountId, 64);
  writeU128(target, posting.amount, 96);
  target.writeUInt32BE(posting.ledger, 128 + 28);
  target.writeUInt16BE(posting.code, 160 + 30);
}

/** Writes the low 16 bytes of a 32-byte word; the high ones are zero and stay so. */
function writeU128(target: Buffer, value: bigint, word: number): void {
  target.writeBigUInt64BE(value >> 64n, word + 16);
  target.writeBigUInt64BE(value & 0xffff_ffff_ffff_ffffn, word + 24);
}

function writeBytes32(target: Buffer, hex: string, word: number): void {
  if (hex === "") target.fill(0, word, word + 32);
  else target.write(hex.slice(2), word, 32, "hex");
}

function domainSeparator(domain: IntentDomain): Uint8Array {
  const type =
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract,bytes32 salt)";
  const struct = Buffer.alloc(6 * 32);
  struct.set(keccak256(Buffer.from(type, "ascii")), 0);
  struct.set(hashText(domain.name), 32);
  struct.set(hashText(domain.version), 64);
  writeU128(struct, domain.chainId, 96);
  struct.set(walletBytes(domain.verifyingContract), 128 + 12);
  writeBytes32(struct, domain.salt, 160);
  return keccak256(struct);
}

function encodeType(name: keyof typeof intentTypes): string {
  return `${name}(${intentTypes[name].map((field) => `${field.type} ${field.name}`).join(",")})`;
}

function hashText(text: string): Uint8Array {
  return text === "" ? emptyHash : keccak256(Buffer.from(text, "utf8"));
}
