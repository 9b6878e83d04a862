import { once } from "node:events";
import { promisify } from "node:util";
import type { Transport } from "@connectrpc/connect";
import {
  compressionGzip,
  createGrpcTransport as createConnectNodeGrpcTransport,
  createConnectTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { createGrpcWebTransport as createWebGrpcWebTransport } from "@connectrpc/connect-web";
import {
  compressionAlgorithms,
  credentials,
  Client as GrpcClient,
  ServerCredentials,
} from "@grpc/grpc-js";
import { createLogger, type Logger } from "#common/process/logger.ts";
import { createWebServer } from "#common/process/web-server.ts";
import { openKeyStore } from "#common/rpc/access/key-store.ts";
import { createTokenVerifier } from "#common/rpc/access/token-verifier.ts";
import { createConnectMount } from "#common/rpc/connect/mount.ts";
import { connectServerOptions } from "#common/rpc/connect/server-options.ts";
import { detailTypes } from "#common/rpc/errors.ts";
import { createGrpcMount } from "#common/rpc/grpc/mount.ts";
import { createGrpcTransport } from "#common/rpc/grpc/transport.ts";
import { createGuard } from "#common/rpc/guard.ts";
import type { Mount } from "#common/rpc/mount.ts";
import { createOpenStreams } from "#common/rpc/open-streams.ts";
import { fetchText } from "./grpc-web-text.ts";

export interface FixtureOptions {
  readonly mounts: readonly Mount[];
  readonly jwksPath: string;
  readonly logger?: Logger;
  readonly drainSignal?: AbortSignal;
  readonly unaryTimeoutMs?: number;
  readonly streamStallMs?: number;
  readonly streamsOfSubjectMax?: number;
}

/** Both mounts of the same services, listening. */
export interface Fixture {
  readonly grpcPort: number;
  readonly connectPort: number;
  /** How many connections the Connect port has. */
  connections(): Promise<number>;
  close(): Promise<void>;
}

/** Mounts services twice behind one guard, without health, reflection and drain, which `serve` adds. */
export async function mountTwice(options: FixtureOptions): Promise<Fixture> {
  const logger = options.logger ?? createLogger("test", "silent");
  const drainSignal = options.drainSignal ?? new AbortController().signal;
  const streams = createOpenStreams();
  const keys = openKeyStore({ kind: "file", path: options.jwksPath }, logger);
  const guard = createGuard({
    mounts: options.mounts,
    tokens: createTokenVerifier(
      { issuer: "sovr", audience: "sovr-mesh", isDevelopment: false },
      keys,
    ),
    logger,
    drainSignal,
    leaveSignal: drainSignal,
    unaryTimeoutMs: options.unaryTimeoutMs ?? 10_000,
    streamStallMs: options.streamStallMs ?? 30_000,
    streamsOfSubjectMax: options.streamsOfSubjectMax,
  });
  const { server } = createGrpcMount(guard, streams, { streamAgeMsMax: 60_000 });
  const grpcPort = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(port) : reject(error),
    );
  });
  const web = createWebServer(connectServerOptions, createConnectMount(guard, streams, logger));
  web.server.listen(0, "127.0.0.1");
  await once(web.server, "listening");
  const address = web.server.address();
  if (address === null || typeof address === "string") throw new Error("no port was given");
  return {
    grpcPort,
    connectPort: address.port,
    connections: promisify(web.server.getConnections.bind(web.server)),
    async close() {
      server.forceShutdown();
      web.server.close();
      web.cut();
      await once(web.server, "close");
    },
  };
}

/** A way to call a service. */
export interface Protocol extends Disposable {
  readonly name: string;
  readonly transport: Transport;
}

/** The ways to call the fixture with compressed messages. */
export function compressedProtocolsOf(fixture: Fixture): Protocol[] {
  const baseUrl = `http://127.0.0.1:${fixture.connectPort}`;
  const options = {
    baseUrl,
    httpVersion: "1.1",
    sendCompression: compressionGzip,
    compressMinBytes: 0,
  } as const;
  const channel = new GrpcClient(`127.0.0.1:${fixture.grpcPort}`, credentials.createInsecure(), {
    "grpc.default_compression_algorithm": compressionAlgorithms.gzip,
  });
  return [
    {
      name: "grpc-js",
      transport: createGrpcTransport({
        unary: channel,
        streams: channel,
        defaultTimeoutMs: 10_000,
      }),
      [Symbol.dispose]: () => channel.close(),
    },
    {
      name: "gRPC-Web",
      transport: createGrpcWebTransport(options),
      [Symbol.dispose]: () => undefined,
    },
    {
      name: "Connect",
      transport: createConnectTransport(options),
      [Symbol.dispose]: () => undefined,
    },
  ];
}

/** Every way to call the fixture that a typed client knows. */
export function protocolsOf(fixture: Fixture): Protocol[] {
  const grpcUrl = `http://127.0.0.1:${fixture.grpcPort}`;
  const baseUrl = `http://127.0.0.1:${fixture.connectPort}`;
  const channel = new GrpcClient(`127.0.0.1:${fixture.grpcPort}`, credentials.createInsecure());
  const httpVersion = "1.1" as const;
  const none = () => undefined;
  return [
    {
      name: "grpc-js",
      transport: createGrpcTransport({
        unary: channel,
        streams: channel,
        defaultTimeoutMs: Number.POSITIVE_INFINITY,
      }),
      [Symbol.dispose]: () => channel.close(),
    },
    {
      name: "connect-node gRPC",
      transport: createConnectNodeGrpcTransport({ baseUrl: grpcUrl }),
      [Symbol.dispose]: none,
    },
    {
      name: "gRPC-Web",
      transport: createGrpcWebTransport({ baseUrl, httpVersion }),
      [Symbol.dispose]: none,
    },
    {
      name: "gRPC-Web text",
      transport: createWebGrpcWebTransport({ baseUrl, fetch: fetchText }),
      [Symbol.dispose]: none,
    },
    {
      name: "Connect binary",
      transport: createConnectTransport({ baseUrl, httpVersion, useBinaryFormat: true }),
      [Symbol.dispose]: none,
    },
    {
      name: "Connect binary, HTTP/2",
      transport: createConnectTransport({ baseUrl, httpVersion: "2", useBinaryFormat: true }),
      [Symbol.dispose]: none,
    },
    {
      name: "Connect JSON",
      transport: createConnectTransport({
        baseUrl,
        httpVersion,
        useBinaryFormat: false,
        jsonOptions: { registry: detailTypes },
      }),
      [Symbol.dispose]: none,
    },
    {
      name: "Connect GET",
      transport: createConnectTransport({
        baseUrl,
        httpVersion,
        useBinaryFormat: false,
        useHttpGet: true,
        jsonOptions: { registry: detailTypes },
      }),
      [Symbol.dispose]: none,
    },
  ];
}
