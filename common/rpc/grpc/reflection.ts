import type { DescFile, DescService } from "@bufbuild/protobuf";
import { toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type { Server } from "@grpc/grpc-js";
import { ReflectionService } from "@grpc/reflection";
import { service as healthService } from "grpc-health-check";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.ts";

type PackageDefinition = ConstructorParameters<typeof ReflectionService>[0];
type Definition = PackageDefinition[string];

/** Describes the services by grpc.reflection.v1 and v1alpha; grpcurl tries the one and then the other. */
export function addReflection(server: Server, services: readonly DescService[]): void {
  const definitions: Record<string, Definition> = {};
  const health = healthService["Check"]?.requestType;
  if (health !== undefined) definitions["grpc.health.v1.Health"] = health;
  for (const { typeName, file } of services) definitions[typeName] = definitionOf(file);
  new ReflectionService(definitions).addToServer(server);
}

/** What reflection reads of a definition is the descriptors; the rest is there for clients that call by it. */
function definitionOf(file: DescFile): Definition {
  // No message refers to the error details, and yet grpcurl needs their types to show them.
  const files = [...filesOf(file), ErrorInfoSchema.file];
  return {
    format: "Protocol Buffer 3 EnumDescriptorProto",
    type: {},
    fileDescriptorProtos: files.map((each) =>
      Buffer.from(toBinary(FileDescriptorProtoSchema, each.proto)),
    ),
  };
}

/** A file and everything that it imports, each once. */
function filesOf(file: DescFile, seen = new Set<DescFile>()): DescFile[] {
  if (seen.has(file)) return [];
  seen.add(file);
  return [file, ...file.dependencies.flatMap((dependency) => filesOf(dependency, seen))];
}
