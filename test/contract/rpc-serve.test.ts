/**
 * Goal: a served process behaves as Kubernetes, Envoy, grpcurl and Prometheus expect of it, from its start to its end.
 * Method: `serve` with a small Ledger and EventStream on free ports.
 */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectTcp, createServer } from "node:net";
import { PassThrough } from "node:stream";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, type ServiceImpl } from "@connectrpc/connect";
import { credentials, Client as GrpcClient, Metadata, type ServiceError } from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { contracts } from "#common/contracts.ts";
import { DomainError } from "#common/domain-error.ts";
import { createLogger, type Logger } from "#common/process/logger.ts";
import { createRpcClient } from "#common/rpc/client.ts";
import { drainSignalKey } from "#common/rpc/drain.ts";
import { reasonOf } from "#common/rpc/errors.ts";
import { fromServiceError } from "#common/rpc/grpc/status.ts";
import type { Dependency } from "#common/rpc/health.ts";
import { mountOf } from "#common/rpc/mount.ts";
import { runtimeConfig } from "#common/rpc/runtime-config.ts";
import { type Running, serve } from "#common/rpc/serve.ts";
import {
  EventStreamService,
  SubscribeRequestSchema,
} from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { LedgerService } from "#gen/sovr/ledger/v1/ledger_service_pb.ts";
import { codeBlocks } from "../support/mesh/code-blocks.ts";
import { takeKeyFaults } from "../support/rpc/key-faults.ts";
import { askReflection } from "../support/rpc/reflection-client.ts";
import { createTokenIssuer, type TokenIssuer } from "../support/rpc/token-issuer.ts";

const subscribePath = "/sovr.eventstream.v1.EventStreamService/Subscribe";

const services = [
  "sovr.attestor.v1.AttestorService",
  "sovr.checkout.v1.CheckoutService",
  "sovr.clearing.v1.ClearingService",
  "sovr.eventstream.v1.EventStreamService",
  "sovr.ledger.v1.LedgerService",
];

const notImplemented = (): never => {
  throw new Error("not part of this test");
};

/** The unary call that is under way, to be answered when the test says so. */
let pending: {
  readonly arrived: Promise<void>;
  arrive(): void;
  readonly answer: PromiseWithResolvers<void>;
};

const wrongKeys = (): never => {
  throw DomainError.received("TRANSFER_NOT_FOUND", "no", { metadata: { id: "7" } });
};

const ledger = new Proxy({} as ServiceImpl<typeof LedgerService>, {
  get: (_target, name) => {
    if (name === "getTransfer") return wrongKeys;
    if (name !== "listAssets") return notImplemented;
    return async () => {
      pending.arrive();
      await pending.answer.promise;
      return {};
    };
  },
});

/** The cursor by which a subscriber says that he wants messages without end. */
const flooding = "flood";
/** How many streams were opened. */
let opened = 0;

const events: ServiceImpl<typeof EventStreamService> = {
  async *subscribe({ start: { value } }, ctx) {
    opened += 1;
    // More than anyone takes who reads nothing.
    while (value === flooding) yield { cursor: "1".repeat(16_384) };
    yield { cursor: "1" };
    const drain = ctx.values.get(drainSignalKey);
    await Promise.race([once(drain, "abort"), once(ctx.signal, "abort")]);
    yield { cursor: "1", message: { case: "closing", value: { cursor: "1", reason: "draining" } } };
    throw new DomainError("DRAINING", "The service is shutting down.");
  },
  listEvents: notImplemented,
  watchBalances: notImplemented,
};

let issuer: TokenIssuer;
let token: string;
let running: Running | undefined;
let closed = 0;

beforeAll(async () => {
  issuer = await createTokenIssuer();
  token = await issuer.token({ scope: "ledger.read events.read reflection" });
});
afterAll(() => issuer[Symbol.dispose]());
afterEach(async () => {
  pending.answer.resolve();
  await running?.stop();
  running = undefined;
});

interface StartOptions {
  readonly env?: Record<string, string>;
  readonly dependencies?: readonly Dependency[];
  readonly logger?: Logger;
}

async function start(options: StartOptions = {}): Promise<Running> {
  closed = 0;
  const arrived = Promise.withResolvers<void>();
  pending = {
    arrived: arrived.promise,
    arrive: arrived.resolve,
    answer: Promise.withResolvers<void>(),
  };
  const any = "127.0.0.1:0";
  const addresses = { GRPC_ADDRESS: any, CONNECT_ADDRESS: any, METRICS_ADDRESS: any };
  running = await serve({
    config: runtimeConfig("ledger", {
      JWT_JWKS_FILE: issuer.jwksPath,
      ...addresses,
      ...options.env,
    }),
    mounts: [mountOf(LedgerService, ledger), mountOf(EventStreamService, events)],
    routes: {
      "/plain": async (_request, response) => {
        response.end("plain");
      },
    },
    contracts,
    dependencies: options.dependencies ?? [],
    close: async () => {
      closed += 1;
    },
    logger: options.logger ?? createLogger("test", "silent"),
  });
  return running;
}

function clientOptions({ ports }: Running) {
  return { address: `127.0.0.1:${ports.grpc}`, token: async () => token, defaultTimeoutMs: 60_000 };
}

function channelTo({ ports }: Running): GrpcClient & Disposable {
  const client = new GrpcClient(`127.0.0.1:${ports.grpc}`, credentials.createInsecure());
  return Object.assign(client, { [Symbol.dispose]: () => client.close() });
}

/** grpc.health.v1.Health/Check: 1 is SERVING, 2 NOT_SERVING. */
function check(client: GrpcClient, service: string): Promise<number> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      "/grpc.health.v1.Health/Check",
      (name: string) => Buffer.concat([Buffer.from([0x0a, name.length]), Buffer.from(name)]),
      (bytes: Buffer) => bytes[1] ?? 0,
      service,
      new Metadata(),
      { deadline: Date.now() + 60_000 },
      (error: ServiceError | null, status?: number) =>
        error === null ? resolve(status ?? 0) : reject(error),
    );
  });
}

async function getStatus(service: Running, path: string): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${service.ports.metrics}${path}`);
  await response.text();
  return response.status;
}

describe("health", () => {
  it("needs no token and knows the process, its readiness and its services by name", async () => {
    using client = channelTo(await start());
    for (const name of ["", "liveness", "readiness", "sovr.ledger.v1.LedgerService"]) {
      expect(await check(client, name), name).toBe(1);
    }
    await expect(check(client, "sovr.checkout.v1.CheckoutService")).rejects.toMatchObject({
      code: 5,
    });
  });

  it("is alive and not ready while a dependency is down", async () => {
    const down: Dependency = {
      name: "tigerbeetle",
      lastSuccessMs: () => 0,
      probe: () => Promise.reject(new Error("down")),
    };
    const service = await start({ dependencies: [down] });
    using client = channelTo(service);
    expect(await check(client, "liveness")).toBe(1);
    expect(await check(client, "readiness")).toBe(2);
    expect(await getStatus(service, "/healthz")).toBe(200);
    expect(await getStatus(service, "/readyz")).toBe(503);
    expect(await getStatus(service, "/nothing")).toBe(404);
  });
});

describe("an error with other metadata keys than its reason promises", () => {
  it("goes out as it is, and is logged once as our fault", async () => {
    const destination = new PassThrough().setEncoding("utf8");
    const service = await start({ logger: createLogger("test", "error", { destination }) });
    using client = createRpcClient(LedgerService, clientOptions(service));
    for (let i = 0; i < 2; i += 1) {
      await expect(client.getTransfer({ transferId: "7" })).rejects.toMatchObject({
        code: Code.NotFound,
      });
    }
    const lines = String(destination.read()).trim().split("\n");
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([{ reason: "TRANSFER_NOT_FOUND" }]);
    expect(takeKeyFaults()).toHaveLength(1);
  });
});

describe("plain routes", () => {
  it("answer on the Connect port, beside the services", async () => {
    const { ports } = await start();
    const response = await fetch(`http://127.0.0.1:${ports.connect}/plain`);
    expect([response.status, await response.text()]).toEqual([200, "plain"]);
    const other = await fetch(`http://127.0.0.1:${ports.connect}/other`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    expect([other.status, await other.json()]).toMatchObject([501, { code: "unimplemented" }]);
  });
});

describe("metrics", () => {
  it("count calls by service, method and status", async () => {
    const service = await start();
    using client = createRpcClient(LedgerService, clientOptions(service));
    await expect(client.getBalance({ accountId: "-1" })).rejects.toThrow();
    const text = await (await fetch(`http://127.0.0.1:${service.ports.metrics}/metrics`)).text();
    const labels = 'service="sovr.ledger.v1.LedgerService",method="GetBalance"';
    expect(text).toContain(`rpc_started_total{${labels}} 1`);
    const ended = `${labels},code="INVALID_ARGUMENT",reason="INVALID_FIELD"`;
    expect(text).toContain(`rpc_handled_total{${ended}} 1`);
    expect(text).toContain(`rpc_duration_seconds_count{${labels},code="INVALID_ARGUMENT"} 1`);
  });
});

describe.each(["v1", "v1alpha"] as const)("reflection %s", (version) => {
  it("lists the services of the mesh and health, and describes them with all that they import", async () => {
    using client = channelTo(await start());
    const { services: listed } = await askReflection(client, version, "listServices", "*", token);
    expect([...listed].sort()).toEqual(["grpc.health.v1.Health", ...services]);
    for (const name of listed) {
      const { files } = await askReflection(client, version, "fileContainingSymbol", name, token);
      const known = new Set(files.map((file) => file.name));
      for (const needed of files.flatMap((file) => file.dependency)) {
        if (known.has(needed)) continue;
        const more = await askReflection(client, version, "fileByFilename", needed, token);
        expect(more.files.map((file) => file.name)).toContain(needed);
      }
      expect(
        files.flatMap((file) => file.service).some((service) => name.endsWith(`.${service.name}`)),
      ).toBe(true);
    }
  });

  it("needs its scope", async () => {
    using client = channelTo(await start());
    const without = await issuer.token({ scope: "ledger.read" });
    for (const [credential, reason] of [
      ["", "CREDENTIALS_MISSING"],
      [without, "SCOPE_MISSING"],
    ] as const) {
      const error: ServiceError = await askReflection(
        client,
        version,
        "listServices",
        "*",
        credential,
      ).then(
        () => expect.unreachable("reflection without its scope"),
        (thrown) => thrown,
      );
      expect(reasonOf(fromServiceError(error))).toBe(reason);
    }
  });
});

describe("start", () => {
  it("stops with one clear line when a port is in use, and leaves nothing behind", async () => {
    for (const variable of ["GRPC_ADDRESS", "CONNECT_ADDRESS", "METRICS_ADDRESS"]) {
      const blocker = createServer().listen(0, "127.0.0.1");
      await once(blocker, "listening");
      const bound = blocker.address();
      const address = typeof bound === "object" ? `127.0.0.1:${bound?.port}` : "";
      await expect(start({ env: { [variable]: address } })).rejects.toThrow(
        `${variable} is "${address}": the port is in use; stop what uses it or choose another`,
      );
      expect(closed).toBe(1);
      blocker.close();
    }
  });
});

describe("stop", () => {
  it("tells load balancers first, lets calls in flight finish, ends streams with closing, and closes last", async () => {
    // Long enough for two checks also where the machine stands still in between.
    const service = await start({ env: { DRAIN_DELAY_MS: "6000", DRAIN_GRACE_MS: "60000" } });
    using ledgerClient = createRpcClient(LedgerService, clientOptions(service));
    using eventsClient = createRpcClient(EventStreamService, clientOptions(service));
    using channel = channelTo(service);
    const call = ledgerClient.listAssets({});
    await pending.arrived;
    const messages: string[] = [];
    const streamEnd = (async () => {
      for await (const { message } of eventsClient.subscribe({}))
        messages.push(message.case ?? "first");
    })().catch((error) => error);
    await expect.poll(() => messages).toEqual(["first"]);

    const stopped = service.stop();
    expect(await check(channel, "readiness")).toBe(2);
    expect(await check(channel, "liveness")).toBe(1);
    expect(reasonOf(await streamEnd)).toBe("DRAINING");
    expect(messages).toEqual(["first", "closing"]);
    expect(closed).toBe(0);
    pending.answer.resolve();
    expect((await call).assets).toEqual([]);
    await stopped;
    expect(closed).toBe(1);
    await expect(fetch(`http://127.0.0.1:${service.ports.connect}/`)).rejects.toThrow();
  });

  it("cuts off what outlasts the grace", async () => {
    const service = await start({ env: { DRAIN_GRACE_MS: "100" } });
    using client = createRpcClient(LedgerService, clientOptions(service));
    const call = client.listAssets({}).catch((error) => error);
    await pending.arrived;
    await service.stop();
    expect(await call).toMatchObject({ code: Code.Unavailable });
    expect(closed).toBe(1);
  });

  it("does not wait for clients that read nothing, whether there is much to read or little", async () => {
    const service = await start({ env: { DRAIN_GRACE_MS: "3600000" } });
    opened = 0;
    const { grpc, connect } = service.ports;
    for (const value of ["1", flooding]) {
      const start = { case: "cursor", value } as const;
      const message = toBinary(SubscribeRequestSchema, create(SubscribeRequestSchema, { start }));
      const body = Buffer.concat([Buffer.from([0, 0, 0, 0, message.byteLength]), message]);
      // A window of nothing, so that not even the first message leaves.
      const session = connectHttp2(`http://127.0.0.1:${grpc}`, {
        settings: { initialWindowSize: 0 },
      }).on("error", () => undefined);
      const stream = session.request({
        ":method": "POST",
        ":path": subscribePath,
        "content-type": "application/grpc",
        authorization: `Bearer ${token}`,
        te: "trailers",
      });
      stream.on("error", () => undefined).end(body);

      const socket = connectTcp(connect, "127.0.0.1").on("error", () => undefined);
      socket.pause();
      socket.write(
        `POST ${subscribePath} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n` +
          `content-type: application/connect+proto\r\ncontent-length: ${body.byteLength}\r\n\r\n`,
      );
      socket.write(body);
    }
    await expect.poll(() => opened).toBe(4);
    await service.stop();
    expect(closed).toBe(1);
  });

  it("is forced by a second call", async () => {
    const service = await start({ env: { DRAIN_DELAY_MS: "60000", DRAIN_GRACE_MS: "60000" } });
    const stopped = service.stop();
    await service.stop();
    await stopped;
    expect(closed).toBe(1);
  });

  it("does not wait for those who only watch health", async () => {
    const service = await start({ env: { DRAIN_GRACE_MS: "60000" } });
    using client = channelTo(service);
    const watch = client.makeServerStreamRequest(
      "/grpc.health.v1.Health/Watch",
      () => Buffer.alloc(0),
      (bytes: Buffer) => bytes,
      null,
      new Metadata(),
    );
    const ended = new Promise<ServiceError>((resolve) => watch.on("error", resolve));
    await once(watch, "data");
    await service.stop();
    expect(reasonOf(fromServiceError(await ended))).toBe("DRAINING");
  });
});

it("a service starts as the README of the runtime shows it", () => {
  const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
  const [example] = codeBlocks(read("common/rpc/README.md"));
  expect(example?.code).toBe(`// services/ledger/main.ts\n${read("services/ledger/main.ts")}`);
});
