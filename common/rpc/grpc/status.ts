import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { Metadata, type ServiceError, type StatusObject } from "@grpc/grpc-js";
import { StatusSchema } from "#gen/google/rpc/status_pb.ts";
import { toStatus } from "../errors.ts";

const detailsKey = "grpc-status-details-bin";

/** An error as grpc-js sends it: the same code and message outside and inside of the details, as clients trust the inner. */
export function toGrpcStatus(error: ConnectError): StatusObject {
  const metadata = new Metadata();
  metadata.set(detailsKey, Buffer.from(toBinary(StatusSchema, toStatus(error))));
  // grpc-js counts its codes as Connect does; 0, success, is no Code.
  return { code: Number(error.code), details: error.rawMessage, metadata };
}

/** True if a status already carries details. */
export function hasDetails(metadata: Metadata | null | undefined): boolean {
  return metadata != null && metadata.get(detailsKey).length > 0;
}

/** A code off the wire; one that nobody defined is Unknown. */
export function toCode(code: number | undefined): Code {
  return code !== undefined && Code[code] !== undefined ? (code as Code) : Code.Unknown;
}

/** What a grpc-js call failed with, as the error that Connect's clients throw, details included. */
export function fromServiceError(error: ServiceError): ConnectError {
  const result = new ConnectError(
    error.details || error.message,
    toCode(error.code),
    undefined,
    undefined,
    error,
  );
  for (const [key, value] of Object.entries(error.metadata?.getMap() ?? {})) {
    if (typeof value === "string") result.metadata.set(key, value);
  }
  const bytes = error.metadata?.get(detailsKey)[0];
  if (bytes instanceof Buffer) result.details = decodeDetails(bytes);
  return result;
}

function decodeDetails(bytes: Buffer): ConnectError["details"] {
  try {
    const status = fromBinary(StatusSchema, bytes);
    return status.details.map((any) => ({
      type: any.typeUrl.slice(any.typeUrl.lastIndexOf("/") + 1),
      value: any.value,
    }));
  } catch {
    // A peer that garbles its details still gave a code and a message, and those are worth more than a decoding error.
    return [];
  }
}
