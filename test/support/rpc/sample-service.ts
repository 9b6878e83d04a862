import { create, createFileRegistry, type DescService } from "@bufbuild/protobuf";
import {
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  type MethodOptions,
  MethodOptionsSchema,
} from "@bufbuild/protobuf/wkt";

/** The service `t.S` with the one method `Do`, from a message without fields to one, and with the options given. */
export function createSampleService(
  options: MethodOptions = create(MethodOptionsSchema),
): DescService {
  const file = create(FileDescriptorProtoSchema, {
    name: "t.proto",
    syntax: "proto3",
    package: "t",
    messageType: [{ name: "M" }],
    service: [
      { name: "S", method: [{ name: "Do", inputType: ".t.M", outputType: ".t.M", options }] },
    ],
  });
  const set = create(FileDescriptorSetSchema, { file: [file] });
  const service = createFileRegistry(set).getService("t.S");
  if (service === undefined) throw new Error("the registry lost a service");
  return service;
}
