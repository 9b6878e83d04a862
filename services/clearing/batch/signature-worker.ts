import { parentPort } from "node:worker_threads";
import { recoverPacked, type SignatureMessage } from "./signature-message.ts";

// One of the signature threads.
parentPort?.on("message", ({ id, bytes }: SignatureMessage) => {
  const answer: SignatureMessage = { id, bytes: recoverPacked(bytes) };
  parentPort?.postMessage(answer, [answer.bytes.buffer]);
});
