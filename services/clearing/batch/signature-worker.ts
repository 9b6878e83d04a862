import { parentPort } from "node:worker_threads";
import { lastMessage, recoverPacked, type SignatureMessage } from "./signature-message.ts";

// One of the signature threads.
parentPort?.on("message", (message: SignatureMessage | typeof lastMessage) => {
  if (message === lastMessage) {
    parentPort?.close();
    return;
  }
  const { id, bytes } = message;
  const answer: SignatureMessage = { id, bytes: recoverPacked(bytes) };
  parentPort?.postMessage(answer, [answer.bytes.buffer]);
});
