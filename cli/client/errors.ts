import { type JsonValue, toJson } from "@bufbuild/protobuf";
import { Code, type ConnectError } from "@connectrpc/connect";
import { detailTypes } from "#common/rpc/errors.ts";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.ts";

/** An error as JSON: its code, what it says to people, and its details for programs. */
export function errorJson(error: ConnectError): JsonValue {
  return {
    code: Code[error.code],
    message: error.rawMessage,
    details: error.findDetails(detailTypes).map((detail) => {
      const schema = detailTypes.getMessage(detail.$typeName);
      const fields = schema === undefined ? {} : toJson(schema, detail);
      return { type: detail.$typeName, ...(fields as Record<string, JsonValue>) };
    }),
  };
}

/** The reason that an error of the mesh names, such as "INSUFFICIENT_FUNDS", or undefined. */
export function errorReason(error: ConnectError): string | undefined {
  return error.findDetails(ErrorInfoSchema)[0]?.reason;
}

/** The reason of an error, or its code, and what it says. */
export function describeRpcError(error: ConnectError): string {
  return `${errorReason(error) ?? Code[error.code]}: ${error.rawMessage}`;
}
