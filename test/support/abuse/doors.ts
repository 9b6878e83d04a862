import type {
  DescMethod,
  DescMethodServerStreaming,
  DescMethodUnary,
  Message,
} from "@bufbuild/protobuf";
import { toJsonString } from "@bufbuild/protobuf";
import { ConnectError, type Transport } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { contractsByName } from "#common/contracts.ts";
import { detailTypes } from "#common/rpc/errors.ts";
import { type ServiceName, serviceNames } from "#common/service-names.ts";
import type { TestMesh } from "../mesh/mesh.ts";
import { fetchText } from "../rpc/grpc-web-text.ts";
import { openTransport, protocolNames } from "../walk/protocols.ts";

/** Every way in: the edge, and past it a service's own ports, in every protocol that browsers and programs speak. */
export interface Door {
  readonly name: string;
  /** How a call of a method ends. A stream is left at its first message. */
  call(method: DescMethod, request: Message, authorization?: string): Promise<DoorAnswer>;
}

/** What a caller hears: an answer in JSON, or the error. */
export type DoorAnswer =
  | { readonly said: string; readonly error?: undefined }
  | { readonly said?: undefined; readonly error: ConnectError };

/** After so long nobody answers, in milliseconds. */
const hangMs = 60_000;

/** All doors of a mesh. */
export function openDoors(mesh: TestMesh): readonly Door[] {
  const protocols = [...protocolNames, "gRPC-Web text"] as const;
  return protocols.flatMap((protocol) => {
    const open = (address: string): Transport =>
      protocol === "gRPC-Web text"
        ? createGrpcWebTransport({ baseUrl: `http://${address}`, fetch: fetchText })
        : openTransport(protocol, `http://${address}`);
    const edge = open(mesh.address);
    const own = new Map<string, Transport>();
    for (const name of serviceNames) {
      const { grpc, connect } = mesh.services[name];
      own.set(contractsByName[name].typeName, open(protocol === "gRPC" ? grpc : connect));
    }
    return [
      { name: `${protocol} at the edge`, call: caller(() => edge) },
      {
        name: `${protocol} at the service`,
        call: caller(({ parent }) => own.get(parent.typeName) ?? edge),
      },
    ];
  });
}

/** The service whose contract a method is of. */
export function serviceOf({ parent }: DescMethod): ServiceName {
  const name = serviceNames.find((each) => contractsByName[each].typeName === parent.typeName);
  if (name === undefined) throw new Error(`nobody serves ${parent.typeName}`);
  return name;
}

function caller(transportOf: (method: DescMethod) => Transport): Door["call"] {
  return async (method, request, authorization) => {
    const left = new AbortController();
    const signal = AbortSignal.any([left.signal, AbortSignal.timeout(hangMs)]);
    const headers = authorization === undefined ? {} : { authorization };
    const transport = transportOf(method);
    const said = (message: Message) => ({
      said: toJsonString(method.output, message, { registry: detailTypes }),
    });
    try {
      if (isUnary(method)) {
        const answer = await transport.unary(method, signal, undefined, headers, request);
        return said(answer.message);
      }
      const stream = streaming(method);
      const answer = await transport.stream(stream, signal, undefined, headers, once(request));
      for await (const message of answer.message) return said(message);
      return { error: new ConnectError("the stream ended without a message") };
    } catch (error) {
      return { error: ConnectError.from(error) };
    } finally {
      left.abort();
    }
  };
}

function isUnary(method: DescMethod): method is DescMethodUnary {
  return method.methodKind === "unary";
}

function streaming(method: DescMethod): DescMethodServerStreaming {
  if (method.methodKind === "server_streaming") return method as DescMethodServerStreaming;
  throw new Error(`${method.name} is of a kind that no service of ours has`);
}

async function* once<T>(value: T): AsyncGenerator<T> {
  yield value;
}
