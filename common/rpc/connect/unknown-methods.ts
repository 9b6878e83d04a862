import type { IncomingMessage } from "node:http";
import { create, createFileRegistry, type DescMethod } from "@bufbuild/protobuf";
import {
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  MethodOptions_IdempotencyLevel,
} from "@bufbuild/protobuf/wkt";
import { createConnectRouter, type MethodImpl } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { compressionGzip } from "@connectrpc/connect-node";
import { toConnectError } from "../errors.ts";
import { methodNotFound } from "../rpc-call.ts";

/**
 * Handlers that answer METHOD_NOT_FOUND in the protocol and encoding that the request speaks. Connect's handlers do
 * not look at the path, so one unary method and one streaming one answer for every path; the gate refuses before a
 * body is read.
 */
export function unknownMethodHandlers(): (request: IncomingMessage) => UniversalHandler {
  const router = createConnectRouter({
    grpc: false,
    acceptCompression: [compressionGzip],
    requestGate(ctx) {
      throw toConnectError(methodNotFound(new URL(ctx.url).pathname));
    },
  });
  const refuse = (): never => {
    throw new Error("unreachable: the gate refuses every call");
  };
  for (const method of methodsOfNobody()) router.rpc(method, refuse as MethodImpl<DescMethod>);
  const [unary, stream] = router.handlers;
  if (unary === undefined || stream === undefined) throw new Error("the router lost a handler");
  return (request) =>
    request.headers["content-type"]?.startsWith("application/connect+") === true ? stream : unary;
}

/** A unary method, which a GET may ask for too, and one that streams its answer: of no service and without fields. */
function methodsOfNobody(): readonly DescMethod[] {
  const [inputType, outputType] = [".Nothing", ".Nothing"];
  const { NO_SIDE_EFFECTS: idempotencyLevel } = MethodOptions_IdempotencyLevel;
  const file = create(FileDescriptorProtoSchema, {
    name: "nobody.proto",
    syntax: "proto3",
    messageType: [{ name: "Nothing" }],
    service: [
      {
        name: "Nobody",
        method: [
          { name: "Unary", inputType, outputType, options: { idempotencyLevel } },
          { name: "Stream", inputType, outputType, serverStreaming: true },
        ],
      },
    ],
  });
  const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: [file] }));
  return registry.getService("Nobody")?.methods ?? [];
}
