import { fromBinary } from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import { type FileDescriptorProto, FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { type Client, Metadata, type ServiceError } from "@grpc/grpc-js";

export interface ReflectionAnswer {
  readonly services: readonly string[];
  readonly files: readonly FileDescriptorProto[];
}

// Numbers of grpc.reflection.v1.ServerReflectionRequest.message_request; v1alpha has the same.
const questions = { fileByFilename: 3, fileContainingSymbol: 4, listServices: 7 } as const;

/** Asks a server's reflection one question, as grpcurl does. Rejects with the ServiceError of the call. */
export function askReflection(
  client: Client,
  version: "v1" | "v1alpha",
  question: keyof typeof questions,
  text: string,
  token: string,
): Promise<ReflectionAnswer> {
  const metadata = new Metadata();
  if (token !== "") metadata.set("authorization", `Bearer ${token}`);
  const call = client.makeBidiStreamRequest(
    `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
    (bytes: Uint8Array) => Buffer.from(bytes),
    decodeAnswer,
    metadata,
    { deadline: Date.now() + 30_000 },
  );
  return new Promise((resolve, reject) => {
    call.on("error", (error: ServiceError) => reject(error));
    call.on("data", (answer: ReflectionAnswer) => {
      resolve(answer);
      call.end();
    });
    call.write(new BinaryWriter().tag(questions[question], 2).string(text).finish());
  });
}

function decodeAnswer(bytes: Uint8Array): ReflectionAnswer {
  const services: string[] = [];
  const files: FileDescriptorProto[] = [];
  for (const [number, value] of fieldsOf(bytes)) {
    if (number === 4) {
      for (const [, file] of fieldsOf(value))
        files.push(fromBinary(FileDescriptorProtoSchema, file));
    }
    if (number === 6) {
      for (const [, service] of fieldsOf(value)) {
        for (const [, name] of fieldsOf(service)) services.push(new TextDecoder().decode(name));
      }
    }
  }
  return { services, files };
}

/** The length-delimited fields of a message. */
function* fieldsOf(bytes: Uint8Array): Generator<[number, Uint8Array]> {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    if (type === 2) yield [number, reader.bytes()];
    else reader.skip(type, number);
  }
}
