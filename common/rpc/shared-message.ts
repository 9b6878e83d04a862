import { type DescMessage, type Message, toBinary } from "@bufbuild/protobuf";

/** Where a shared message keeps its bytes, once they are known. */
const encoding = Symbol("encoding");

interface Shared extends Message {
  readonly [encoding]?: { bytes: Buffer | undefined };
}

/** Says that many calls send this very message: gRPC then encodes it once. Nobody may change it any more. */
export function shareMessage<M extends Message>(message: M): M {
  // Not enumerable: a copy of the message, which may be changed, does not take the bytes with it.
  if (!(encoding in message)) {
    Object.defineProperty(message, encoding, { value: { bytes: undefined } });
  }
  return message;
}

/** A message in bytes, which nobody may change. */
export function encodeMessage(schema: DescMessage, message: Message): Buffer {
  const shared = (message as Shared)[encoding];
  if (shared?.bytes !== undefined) return shared.bytes;
  const bytes = toBinary(schema, message);
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (shared !== undefined) shared.bytes = buffer;
  return buffer;
}
