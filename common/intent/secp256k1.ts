import { createRequire } from "node:module";

/** The three operations on the curve that signatures need. Inputs and outputs are raw bytes. */
export interface Secp256k1 {
  /** Which build answers: "native" (libsecp256k1) or "wasm" (the same library, three to four times slower). */
  readonly build: "native" | "wasm";
  /** The uncompressed public key (65 bytes) that made a signature; throws if none did. `rs`: 64 bytes. */
  recover(digest: Uint8Array, rs: Uint8Array, parity: number): Uint8Array;
  /** A low-s signature with deterministic nonce (RFC 6979). */
  sign(digest: Uint8Array, privateKey: Uint8Array): { rs: Uint8Array; parity: number };
  /** The uncompressed public key of a private key; throws if the key is out of range. */
  publicKey(privateKey: Uint8Array): Uint8Array;
}

interface NativeSecp256k1 {
  ecdsaRecover(rs: Uint8Array, parity: number, digest: Uint8Array, compressed: boolean): Uint8Array;
  ecdsaSign(digest: Uint8Array, privateKey: Uint8Array): { signature: Uint8Array; recid: number };
  publicKeyCreate(privateKey: Uint8Array, compressed: boolean): Uint8Array;
}

interface WasmSecp256k1 {
  recover(
    digest: Uint8Array,
    rs: Uint8Array,
    parity: number,
    compressed: boolean,
  ): Uint8Array | null;
  signRecoverable(
    digest: Uint8Array,
    privateKey: Uint8Array,
  ): { signature: Uint8Array; recoveryId: number };
  pointFromScalar(privateKey: Uint8Array, compressed: boolean): Uint8Array | null;
}

const require = createRequire(import.meta.url);

/** The curve on this machine. */
export const secp256k1: Secp256k1 = load();

function load(): Secp256k1 {
  // `secp256k1/bindings.js`, not `secp256k1`: the latter falls back to JavaScript in silence where no native build
  // fits, thirty times slower and with signing faults that are known. Our own fallback is the WebAssembly build.
  let native: NativeSecp256k1;
  try {
    native = require("secp256k1/bindings.js") as NativeSecp256k1;
  } catch {
    return fromWasm(require("tiny-secp256k1") as WasmSecp256k1);
  }
  return {
    build: "native",
    recover: (digest, rs, parity) => native.ecdsaRecover(rs, parity, digest, false),
    sign: (digest, privateKey) => {
      const { signature, recid } = native.ecdsaSign(digest, privateKey);
      return { rs: signature, parity: recid };
    },
    publicKey: (privateKey) => native.publicKeyCreate(privateKey, false),
  };
}

/** The WebAssembly build, behind the same operations. Exported so that the tests can hold it against the native one. */
export function fromWasm(wasm: WasmSecp256k1): Secp256k1 {
  return {
    build: "wasm",
    recover: (digest, rs, parity) => required(wasm.recover(digest, rs, parity, false)),
    sign: (digest, privateKey) => {
      const { signature, recoveryId } = wasm.signRecoverable(digest, privateKey);
      return { rs: signature, parity: recoveryId };
    },
    publicKey: (privateKey) => required(wasm.pointFromScalar(privateKey, false)),
  };
}

function required(point: Uint8Array | null): Uint8Array {
  if (point === null) throw new RangeError("no such point on the curve");
  return point;
}
