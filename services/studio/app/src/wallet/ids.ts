import { sha256 } from "@noble/hashes/sha2.js";
import { walletIdsFrom } from "#common/ledger/chart.ts";

// What common/uuid.ts and common/ledger/{wallet-account,transfer-rows}.ts compute, without Node: there Node's own
// SHA-256 is several times faster and on the hot path. Both are held against test/vectors.

const text = new TextEncoder();

/** Makes a UUIDv7: 48 bits of Unix milliseconds, then random bits. */
export function newUuidV7(nowMs: number = Date.now()): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, Math.floor(nowMs / 2 ** 32));
  view.setUint32(2, nowMs % 2 ** 32);
  view.setUint8(6, (view.getUint8(6) & 0x0f) | 0x70);
  view.setUint8(8, (view.getUint8(8) & 0x3f) | 0x80);
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** The id of a wallet's account in one asset. */
export function walletAccountId(wallet: string, ledger: number): bigint {
  const ledgerBytes = new Uint8Array(4);
  new DataView(ledgerBytes.buffer).setUint32(0, ledger);
  const hash = sha256(joined(text.encode("sovr/wallet/v1"), bytesOf(wallet.slice(2)), ledgerBytes));
  return walletIdsFrom | (numberOf(hash.subarray(0, 16)) >> 1n);
}

/** The id of the transfer that an intent's leg becomes. */
export function transferId(intentId: string, leg: number): bigint {
  const id = bytesOf(intentId.replaceAll("-", ""));
  const legBytes = new Uint8Array(2);
  new DataView(legBytes.buffer).setUint16(0, leg);
  const hash = sha256(joined(text.encode("sovr/transfer/v1"), id, legBytes));
  return (numberOf(id.subarray(0, 6)) << 80n) | numberOf(hash.subarray(0, 10));
}

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

function numberOf(bytes: Uint8Array): bigint {
  return bytes.reduce((number, byte) => (number << 8n) | BigInt(byte), 0n);
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
