import type { DescFile } from "@bufbuild/protobuf";
import { toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type { Server } from "@grpc/grpc-js";
import { ReflectionService } from "@grpc/reflection";
import { service as healthService } from "grpc-health-check";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { AttestorService } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import { CheckoutService } from "#gen/sovr/checkout/v1/checkout_service_pb.ts";
import { ClearingService } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { EventStreamService } from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { LedgerService } from "#gen/sovr/ledger/v1/ledger_service_pb.ts";

/** Every service of the mesh that is registered: each server describes all, as the edge asks any one of them. */
const services = [
  AttestorService,
  CheckoutService,
  ClearingService,
  EventStreamService,
  LedgerService,
];

type PackageDefinition = ConstructorParameters<typeof ReflectionService>[0];
type Definition = PackageDefinition[string];

/** Serves grpc.reflection.v1 and v1alpha; grpcurl tries the one and then the other. */
export function addReflection(server: Server): void {
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
