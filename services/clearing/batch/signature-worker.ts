import { parentPort } from "node:worker_threads";
import { recoverAddressBytes } from "#common/intent/signature.ts";
import { addressBytes, itemBytes, type ThreadMessage } from "./signature-threads.ts";

// One of the signature threads.
parentPort?.on("message", ({ id, bytes }: ThreadMessage) => {
  const count = bytes.length / itemBytes;
  const addresses = new Uint8Array(count * addressBytes);
  for (let index = 0; index < count; index += 1) {
    const item = bytes.subarray(index * itemBytes, (index + 1) * itemBytes);
    const address = recoverAddressBytes(item.subarray(0, 32), item.subarray(32));
    if (address !== undefined) addresses.set(address, index * addressBytes);
  }
  const answer: ThreadMessage = { id, bytes: addresses };
  parentPort?.postMessage(answer, [addresses.buffer]);
});
