import { Code, ConnectError, type Interceptor, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { explainCutCalls } from "#common/rpc/cut-call.ts";
import type { Session } from "./session.ts";

/** What the browser can speak to the mesh; all of it goes through Envoy. */
export const protocols = ["connect-binary", "connect-json", "grpc-web"] as const;
export type Protocol = (typeof protocols)[number];

const storageKey = "sovr.studio.protocol";
const unaryMs = 15_000;

export function loadProtocol(storage: Storage): Protocol {
  const stored = storage.getItem(storageKey);
  return protocols.find((protocol) => protocol === stored) ?? "connect-binary";
}

export function keepProtocol(storage: Storage, protocol: Protocol): void {
  storage.setItem(storageKey, protocol);
}

/** The way to the mesh that this page came from, with the session's token on every call. */
export function openTransport(protocol: Protocol, session: Session): Transport {
  const options = { baseUrl: location.origin, interceptors: [explainCutCalls, authorize(session)] };
  const transport =
    protocol === "grpc-web"
      ? createGrpcWebTransport(options)
      : createConnectTransport({ ...options, useBinaryFormat: protocol === "connect-binary" });
  return {
    // Streams last; a unary call that nobody answers is given up.
    unary: (method, signal, timeoutMs, header, input, contextValues) =>
      transport.unary(method, signal, timeoutMs ?? unaryMs, header, input, contextValues),
    stream: transport.stream,
  };
}

/** A token that the mesh refuses, because its keys changed, is replaced once. */
function authorize(session: Session): Interceptor {
  return (next) => async (request) => {
    const token = await session.token();
    request.header.set("authorization", `Bearer ${token}`);
    try {
      return await next(request);
    } catch (error) {
      if (ConnectError.from(error).code !== Code.Unauthenticated) throw error;
      session.refuse(token);
      if (request.stream) throw error; // whoever reads the stream opens it again
      request.header.set("authorization", `Bearer ${await session.token()}`);
      return next(request);
    }
  };
}
