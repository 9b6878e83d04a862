import { createRegistry, type DescMethod, type DescService, toJson } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type Interceptor, type Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { AttestorService } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import { ClearingService } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { EventStreamService } from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { LedgerService } from "#gen/sovr/ledger/v1/ledger_service_pb.ts";
import { Problem } from "./problem.ts";
import type { Settings } from "./settings.ts";
import { type MeshIdentity, requireMesh } from "./state.ts";
import { signToken } from "./token.ts";

const services: readonly DescService[] = [
  AttestorService,
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
  const [serviceName, methodName, ...rest] = name.split(/[/.](?=[^/.]*$)/);
  const service = services.find(
    (candidate) => candidate.name === serviceName || candidate.typeName === serviceName,
  );
  if (service === undefined || rest.length > 0) {
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

/** Every type that a message or an error detail of the mesh may hold. */
export const registry = createRegistry(...services.map((service) => service.file));

/** An error as JSON: code, reason and details as they came over the wire. */
export function errorJson(error: ConnectError): object {
  return {
    code: Code[error.code],
    message: error.rawMessage,
    details: error.details.map((detail) =>
      "desc" in detail ? { type: detail.desc.typeName, value: detail.value } : detail.debug ?? detail,
    ),
  };
}
