import {
  create,
  createFileRegistry,
  type DescMessage,
  type DescMethod,
  type Message,
  toBinary,
} from "@bufbuild/protobuf";
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { readBinary, readJson } from "../strict/read-request.ts";

/** Of the field that takes a request's JSON. No tag can carry it, so that nothing binary ever gets there. */
const jsonFieldNumber = 2 ** 29;

/**
 * What Connect decodes in place of a request: its own decoders are lenient, and it takes no others. In binary no field
 * of a request is known here, so that every byte is kept as an unknown one; JSON comes as one text, by `rawJson`. What
 * it holds is read, strictly, where the handler gets it.
 */
const rawRequest = describeRawRequest();

function describeRawRequest(): DescMessage {
  const field = {
    name: "json",
    number: jsonFieldNumber,
    label: FieldDescriptorProto_Label.REPEATED,
    type: FieldDescriptorProto_Type.STRING,
  };
  const file = create(FileDescriptorProtoSchema, {
    name: "raw.proto",
    syntax: "proto3",
    messageType: [{ name: "RawRequest", field: [field] }],
  });
  const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: [file] }));
  const message = registry.getMessage("RawRequest");
  if (message === undefined) throw new Error("the raw request is not in its own file");
  return message;
}

/** The same method, taking raw requests. */
export function rawMethod(method: DescMethod): DescMethod {
  return { ...method, input: rawRequest };
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Connect's decoder of texts: the JSON of a raw request that holds the text. Throws where it is no UTF-8. */
export const rawJson = {
  decode: (bytes?: Uint8Array): string => JSON.stringify({ json: [utf8.decode(bytes)] }),
};

/** The request in a raw one. Throws INVALID_FIELD with the path to what is wrong. */
export function readRaw(schema: DescMessage, raw: Message): Message {
  const json = jsonOf(raw);
  return json === undefined ? readBinary(schema, bytesOf(raw)) : readJson(schema, json);
}

function jsonOf(raw: Message): string | undefined {
  const texts: unknown = Reflect.get(raw, "json");
  return Array.isArray(texts) && typeof texts[0] === "string" ? texts[0] : undefined;
}

function bytesOf(raw: Message): Uint8Array {
  return toBinary(rawRequest, raw);
}
