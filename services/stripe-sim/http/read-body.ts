import type { IncomingMessage } from "node:http";
import { StripeSimError } from "../objects/errors.ts";

export const bodyBytesMax = 65_536;

/** The body as text. Throws StripeSimError (413) for more than 64 KiB. */
export async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bodyBytesMax) {
      throw new StripeSimError(413, {
        type: "invalid_request_error",
        message: `The request body is larger than ${bodyBytesMax} bytes.`,
      });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
