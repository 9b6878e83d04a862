// Goal: through Envoy too it is the service that answers a deadline, with its reason, however long or short it is. Method: a
// mesh with a real ledger that is stopped in its tracks, asked with the headers of each protocol, so that no client's own
// timer answers; and grpcurl, whose timer runs against ours.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import {
  Code,
  ConnectError,
  createClient,
  type Interceptor,
  type Transport,
} from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { EventStreamService } from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { LedgerService } from "#gen/sovr/ledger/v1/ledger_service_pb.ts";
import { findProgram } from "../../cli/command/run-program.ts";
import { startMesh, type TestMesh } from "../support/mesh/mesh.ts";

const run = promisify(execFile);
const grpcurl = findProgram("grpcurl");
const hasTigerBeetle = findProgram("tigerbeetle") !== undefined;

type Open = (baseUrl: string, interceptors: Interceptor[]) => Transport;
const httpVersion = "1.1" as const;

/** The protocols, and the headers in which each names a second, and the longest that it can. */
const protocols: Readonly<
  Record<string, { readonly open: Open; readonly name: string; readonly long: readonly string[] }>
> = {
  gRPC: {
    open: (baseUrl, interceptors) => createGrpcTransport({ baseUrl, interceptors }),
    name: "grpc-timeout",
    long: ["597H", "99999999H"],
  },
  "gRPC-Web": {
    open: (baseUrl, interceptors) => createGrpcWebTransport({ baseUrl, httpVersion, interceptors }),
    name: "grpc-timeout",
    long: ["597H", "99999999H"],
  },
  "Connect, binary": {
    open: (baseUrl, interceptors) =>
      createConnectTransport({ baseUrl, httpVersion, useBinaryFormat: true, interceptors }),
    name: "connect-timeout-ms",
    long: ["2147483648", "9999999999"],
  },
  "Connect, JSON": {
    open: (baseUrl, interceptors) =>
      createConnectTransport({ baseUrl, httpVersion, useBinaryFormat: false, interceptors }),
    name: "connect-timeout-ms",
    long: ["2147483648", "9999999999"],
  },
};
const names = Object.keys(protocols);

let mesh: TestMesh;
let token: string;
beforeAll(async () => {
  mesh = await startMesh(hasTigerBeetle ? { engine: "tigerbeetle" } : {});
  token = await mesh.token();
});
afterAll(() => mesh?.stop());

function protocolOf(name: string) {
  const protocol = protocols[name];
  if (protocol === undefined) throw new Error(`there is no ${name}`);
  return protocol;
}

function through(name: string, timeout: string): Transport {
  const protocol = protocolOf(name);
  const lead: Interceptor = (next) => (call) => {
    call.header.set("authorization", `Bearer ${token}`);
    call.header.set(protocol.name, timeout);
    return next(call);
  };
  return protocol.open(`http://${mesh.address}`, [lead]);
}

const timeoutOf = (name: string, seconds: number) =>
  protocolOf(name).name === "grpc-timeout" ? `${seconds}S` : `${seconds}000`;

/** Where a machine stands still for longer than the edge leaves a service, the edge answers: once more then, with more time. */
const everLonger = [1, 2, 4, 8, 16];
const overtaken = ["DeadlineExceeded", "EDGE_TIMEOUT"].join();

async function answerOf(call: Promise<unknown>) {
  const error = ConnectError.from(
    await call.then(
      () => new Error("the call succeeded"),
      (thrown: unknown) => thrown,
    ),
  );
  const reasons = error.findDetails(ErrorInfoSchema).map(({ reason }) => reason);
  return [Code[error.code], ...reasons];
}

/** Makes calls whose time runs out, and expects every service to say so itself. */
async function expectOwnAnswers(
  call: (seconds: number) => readonly Promise<unknown>[],
): Promise<void> {
  for (const seconds of everLonger) {
    const answers = await Promise.all(call(seconds).map(answerOf));
    const isLast = seconds === everLonger.at(-1);
    if (!isLast && answers.some((answer) => answer.join() === overtaken)) continue;
    for (const answer of answers) expect(answer).toEqual(["DeadlineExceeded", "NOT_SENT"]);
    return;
  }
}

describe.each(names)("%s through Envoy", (name) => {
  it.each(protocolOf(name).long)("runs with %s", async (timeout) => {
    const transport = through(name, timeout);
    const { assets } = await createClient(LedgerService, transport).listAssets({});
    expect(assets).toHaveLength(3);
    for await (const { message } of createClient(EventStreamService, transport).subscribe({})) {
      expect(message.case).toBe("opened");
      break;
    }
  });

  it("gets the service's reason when a stream's time is over", async () => {
    await expectOwnAnswers((seconds) => {
      const client = createClient(EventStreamService, through(name, timeoutOf(name, seconds)));
      return Array.from({ length: 10 }, () => Array.fromAsync(client.subscribe({})));
    });
  });

  it("passes headers that only the edge would refuse", async () => {
    const client = createClient(LedgerService, through(name, timeoutOf(name, 60)));
    const headers = { "x-large": "x".repeat(25_000) };
    expect((await client.listAssets({}, { headers })).assets).toHaveLength(3);
  });
});

describe.skipIf(!hasTigerBeetle)("a ledger that stands still (needs tigerbeetle)", () => {
  it("is told by the service, in every protocol, before the proxy or the caller gives up", async () => {
    mesh.kill("tigerbeetle", "SIGSTOP");
    try {
      await expectOwnAnswers((seconds) =>
        names.map((name) => {
          const client = createClient(LedgerService, through(name, timeoutOf(name, seconds)));
          return client.getTrialBalance({ ledger: 1 });
        }),
      );
    } finally {
      mesh.kill("tigerbeetle", "SIGCONT");
    }
  });
});

describe.skipIf(grpcurl === undefined)("grpcurl through Envoy (needs grpcurl)", () => {
  it("hears DEADLINE_EXCEEDED twenty times of twenty", async () => {
    const subscribe = async (): Promise<string> => {
      const failed = await run(
        grpcurl ?? "",
        [
          "-plaintext",
          "-H",
          `authorization: Bearer ${token}`,
          "-max-time",
          "1",
          mesh.address,
          "sovr.eventstream.v1.EventStreamService/Subscribe",
        ],
        { timeout: 20_000 },
      ).then(
        () => ({ stderr: "the call succeeded" }),
        (error: { stderr: string }) => error,
      );
      return /Code: (\w+)/.exec(failed.stderr)?.[1] ?? failed.stderr;
    };
    const codes: string[] = [];
    for (let round = 0; round < 30 && codes.length < 20; round += 1) {
      const answers = await Promise.all([subscribe(), subscribe()]);
      // Where the machine is slow its time may be over before it is connected: then nobody was called.
      codes.push(...answers.filter((answer) => !answer.startsWith("Failed to dial target host")));
    }
    expect(codes).toEqual(Array(20).fill("DeadlineExceeded"));
  });
});
