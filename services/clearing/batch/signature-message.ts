import { formatWallet } from "#common/address.ts";
import { recoverAddressBytes } from "#common/intent/signature.ts";

/** A digest, 32 bytes, and a signature over it, 65 bytes, each in its one spelling. */
export interface SignedDigest {
  readonly digest: string;
  readonly signature: string;
}

/** Of an item in a message to a thread: digest, then signature. */
const itemBytes = 32 + 65;
/** Of an item in its answer: the address; all zero if nobody made the signature. */
const addressBytes = 20;

/** What goes to a thread and comes back: items, then addresses. */
export interface SignatureMessage {
  readonly id: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** What ends a thread, after all that was sent before. */
export const lastMessage = "CLOSE";

/** Packs items for a thread. */
export function packItems(items: readonly SignedDigest[]): Uint8Array<ArrayBuffer> {
  const bytes = Buffer.from(new ArrayBuffer(items.length * itemBytes));
  for (const [index, { digest, signature }] of items.entries()) {
    const offset = index * itemBytes;
    bytes.write(digest.slice(2), offset, 32, "hex");
    bytes.write(signature.slice(2), offset + 32, 65, "hex");
  }
  return bytes;
}

/** Recovers the packed items' addresses, and packs these. */
export function recoverPacked(items: Uint8Array): Uint8Array<ArrayBuffer> {
  const count = items.length / itemBytes;
  const addresses = new Uint8Array(count * addressBytes);
  for (let index = 0; index < count; index += 1) {
    const item = items.subarray(index * itemBytes, (index + 1) * itemBytes);
    const address = recoverAddressBytes(item.subarray(0, 32), item.subarray(32));
    if (address !== undefined) addresses.set(address, index * addressBytes);
  }
  return addresses;
}

/** The addresses in a thread's answer; undefined for a signature that nobody made. */
export function unpackAddresses(bytes: Uint8Array): (string | undefined)[] {
  const addresses: (string | undefined)[] = [];
  for (let offset = 0; offset < bytes.length; offset += addressBytes) {
    const address = bytes.subarray(offset, offset + addressBytes);
    addresses.push(address.every((byte) => byte === 0) ? undefined : formatWallet(address));
  }
  return addresses;
}
