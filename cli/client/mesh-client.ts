import { type DescMethod, type DescService, type JsonValue, toJson } from "@bufbuild/protobuf";
import { Code, type ConnectError, type Interceptor, type Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { detailTypes } from "#common/rpc/errors.ts";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { AttestorService } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import { CheckoutService } from "#gen/sovr/checkout/v1/checkout_service_pb.ts";
import { ClearingService } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { EventStreamService } from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { LedgerService } from "#gen/sovr/ledger/v1/ledger_service_pb.ts";
import { Problem } from "../command/problem.ts";
import type { Settings } from "../state/settings.ts";
import { type MeshIdentity, requireMesh } from "../state/state.ts";
import { signToken } from "./token.ts";

const services: readonly DescService[] = [
  AttestorService,
  CheckoutService,
  ClearingService,
  EventStreamService,
  LedgerService,
];

/** A running mesh as an operator reaches it: through Envoy, with a token. */
export interface MeshClient {
  readonly identity: MeshIdentity;
  readonly transport: Transport;
}

export interface MeshClientOptions {
  /** Default: all scopes. */
  readonly scopes?: readonly string[];
  /** The wallet that the token is bound to. */
  readonly wallet?: string | undefined;
}

/** Opens the mesh of this state folder; a Problem if none runs. */
export function openMesh(settings: Settings, options: MeshClientOptions = {}): MeshClient {
  const { state, identity } = requireMesh(settings);
  const authorize: Interceptor = (next) => async (request) => {
    request.header.set("authorization", `Bearer ${await signToken(settings, options)}`);
    return next(request);
  };
  const transport = createConnectTransport({
    baseUrl: `http://${state.host}:${state.ports.envoy}`,
    httpVersion: "1.1",
    interceptors: [authorize],
  });
  return { identity, transport };
}

/** The method that "LedgerService/GetBalance" or "sovr.ledger.v1.LedgerService/GetBalance" names. */
export function findMethod(name: string): DescMethod {
  const [serviceName, methodName] = name.split(/[/.](?=[^/.]*$)/);
  const service = services.find(
    (candidate) => candidate.name === serviceName || candidate.typeName === serviceName,
  );
  if (service === undefined) {
    const names = services.map((candidate) => candidate.name).join(", ");
    throw new Problem(`"${name}" names no method: write Service/Method with one of ${names}`);
  }
  const method = service.methods.find((candidate) => candidate.name === methodName);
  if (method === undefined) {
    const names = service.methods.map((candidate) => candidate.name).join(", ");
    throw new Problem(`${service.name} has no method "${methodName ?? ""}": it has ${names}`);
  }
  return method;
}

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
