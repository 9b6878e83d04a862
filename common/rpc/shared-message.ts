import { type DescMessage, type Message, toBinary } from "@bufbuild/protobuf";

/** The bytes of shared messages, once they are known. */
const encodings = new WeakMap<Message, Buffer | undefined>();

/** Says that many calls send this very message: gRPC then encodes it once. Nobody may change it any more. */
export function shareMessage<Shared extends Message>(message: Shared): Shared {
  if (!encodings.has(message)) encodings.set(message, undefined);
  return message;
}

/** A message in bytes, which nobody may change. */
export function encodeMessage(schema: DescMessage, message: Message): Buffer {
  const known = encodings.get(message);
  if (known !== undefined) return known;
  const bytes = toBinary(schema, message);
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (encodings.has(message)) encodings.set(message, buffer);
  return buffer;
}
