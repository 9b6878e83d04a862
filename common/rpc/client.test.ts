import { Code, createContextValues, createHandlerContext } from "@connectrpc/connect";
import {
  type Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type sendUnaryData,
} from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ClearingService } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { LedgerService } from "#gen/sovr/ledger/v1/ledger_service_pb.ts";
import { createSampleService } from "../../test/support/rpc/sample-service.ts";
import { limitOf } from "./call-limit.ts";
import { callWithin, createRpcClient } from "./client.ts";
import { withDeadline } from "./unary-context.ts";

/** A server that fails the first calls of a method with a code, and notes what it got. */
const peer = {
  calls: [] as { metadata: Metadata; deadlineMs: number }[],
  failures: 0,
  code: Code.Unavailable,
};
let server: Server;
let address: string;

/** A service whose method says nothing of repeating. */
const sample = createSampleService();

/** Longer than any machine takes: no deadline ends a call here. */
const defaultTimeoutMs = 60_000;

const passBytes = (bytes: Buffer): Buffer => bytes;

function answer(call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>): void {
  peer.calls.push({ metadata: call.metadata, deadlineMs: Number(call.getDeadline()) - Date.now() });
  if (peer.calls.length <= peer.failures) callback({ code: Number(peer.code), details: "not now" });
  else callback(null, Buffer.alloc(0));
}

beforeEach(async () => {
  Object.assign(peer, { calls: [], failures: 0, code: Code.Unavailable });
  server = new Server();
  for (const method of [
    LedgerService.method.listAssets,
    ClearingService.method.clear,
    ...sample.methods,
  ]) {
    const definition = {
      path: `/${method.parent.typeName}/${method.name}`,
      requestStream: false,
      responseStream: false,
      requestSerialize: passBytes,
      requestDeserialize: passBytes,
      responseSerialize: passBytes,
      responseDeserialize: passBytes,
    };
    server.addService({ [method.name]: definition }, { [method.name]: answer });
  }
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  address = `127.0.0.1:${port}`;
});
afterEach(() => server.forceShutdown());

describe("createRpcClient", () => {
  it("sends the token and a deadline with every call", async () => {
    using client = createRpcClient(LedgerService, {
      address,
      token: async () => "abc",
      defaultTimeoutMs,
    });
    await client.listAssets({});
    expect(peer.calls[0]?.metadata.get("authorization")).toEqual(["Bearer abc"]);
    expect(peer.calls[0]?.deadlineMs).toBeLessThanOrEqual(defaultTimeoutMs);
    await client.listAssets({}, { timeoutMs: 30_000, headers: { "x-request-id": "r1" } });
    expect(peer.calls[1]?.deadlineMs).toBeLessThanOrEqual(30_000);
    expect(peer.calls[1]?.metadata.get("x-request-id")).toEqual(["r1"]);
  });

  it("repeats reads, and writes with an id of the client's, while the peer is unavailable", async () => {
    peer.failures = 2;
    using ledger = createRpcClient(LedgerService, { address, defaultTimeoutMs });
    await ledger.listAssets({});
    expect(peer.calls).toHaveLength(3);
    peer.failures = peer.calls.length + 1;
    using clearing = createRpcClient(ClearingService, { address, defaultTimeoutMs });
    await clearing.clear({});
    expect(peer.calls).toHaveLength(5);
  });

  it("repeats as it is told, where it is asked to, for as long as there is time", async () => {
    peer.failures = 4;
    using clearing = createRpcClient(ClearingService, {
      address,
      defaultTimeoutMs,
      retries: "as told",
    });
    await clearing.clear({});
    expect(peer.calls).toHaveLength(5);
    const [first, ...later] = peer.calls.map(({ deadlineMs }) => deadlineMs);
    expect(Math.max(...later)).toBeLessThan(first ?? 0);
  });

  it("repeats nothing that does not say that it may be repeated", async () => {
    peer.failures = 1;
    using client = createRpcClient(sample, { address, defaultTimeoutMs });
    const call: (input: object) => Promise<unknown> = Reflect.get(client, "do");
    await expect(call({})).rejects.toMatchObject({ code: Code.Unavailable });
    expect(peer.calls).toHaveLength(1);
  });

  it("repeats no refusal", async () => {
    Object.assign(peer, { failures: 1, code: Code.FailedPrecondition });
    using client = createRpcClient(LedgerService, { address, defaultTimeoutMs });
    await expect(client.listAssets({})).rejects.toMatchObject({
      code: Code.FailedPrecondition,
      rawMessage: "not now",
    });
    expect(peer.calls).toHaveLength(1);
  });

  it("stops with the caller's signal", async () => {
    using client = createRpcClient(LedgerService, { address, defaultTimeoutMs });
    const signal = AbortSignal.abort();
    await expect(client.listAssets({}, { signal })).rejects.toMatchObject({ code: Code.Canceled });
    expect(peer.calls).toHaveLength(0);
  });

  it("fails where nobody listens, within its deadline", async () => {
    using client = createRpcClient(LedgerService, {
      address: "127.0.0.1:1",
      defaultTimeoutMs,
    });
    await expect(client.listAssets({})).rejects.toMatchObject({ code: Code.Unavailable });
  });
});

describe("callWithin", () => {
  const contextOf = (timeoutMs: number, requestHeader: Record<string, string>) =>
    createHandlerContext({
      service: LedgerService,
      method: LedgerService.method.listAssets,
      protocolName: "grpc",
      requestMethod: "POST",
      url: "/",
      timeoutMs,
      requestHeader,
      contextValues: createContextValues(),
    });

  it("hands on the trace and the time that is left, less a margin", () => {
    const ctx = contextOf(1_000, {
      traceparent: "00-a-b-01",
      "x-request-id": "r1",
      authorization: "Bearer of somebody else",
    });
    const options = callWithin(limitOf(withDeadline(ctx, 0).ctx));
    expect(options.headers).toEqual({ traceparent: "00-a-b-01", "x-request-id": "r1" });
    expect(options.timeoutMs).toBeLessThanOrEqual(950);
    expect(options.timeoutMs).toBeGreaterThan(0);
    expect(options.signal).toBe(ctx.signal);
    ctx.abort();
  });

  it("leaves a peer a deadline also where the time is over", () => {
    const ctx = contextOf(10, {});
    expect(callWithin(limitOf(withDeadline(ctx, 0).ctx)).timeoutMs).toBe(1);
    ctx.abort();
  });

  it("calls for nobody within a limit alone", async () => {
    using client = createRpcClient(LedgerService, { address, defaultTimeoutMs });
    await client.listAssets({}, callWithin({ deadlineMs: Date.now() + 30_000 }));
    expect(peer.calls[0]?.deadlineMs).toBeLessThanOrEqual(30_000);
    expect(peer.calls[0]?.metadata.get("traceparent")).toEqual([]);
  });
});
