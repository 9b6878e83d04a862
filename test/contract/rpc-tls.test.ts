/**
 * Goal: with certificates a service talks with those parts of the mesh that may call it, on both mounts, and with nobody
 * else; a certificate that is renewed costs no call. Method: `serve` with a small Ledger, certificates of authorities of
 * the test, and clients of every kind.
 */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";
import { Code, ConnectError, createClient, type ServiceImpl } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { contracts } from "#common/contracts.ts";
import { createLogger } from "#common/process/logger.ts";
import { type Certificates, openCertificates } from "#common/process/tls/certificates.ts";
import type { ListenerName, PartName } from "#common/process/tls/parts.ts";
import { peerOptions } from "#common/process/tls/peer-options.ts";
import { createRpcClient } from "#common/rpc/client.ts";
import { mountOf } from "#common/rpc/mount.ts";
import { runtimeConfig } from "#common/rpc/runtime-config.ts";
import { type Running, serve } from "#common/rpc/serve.ts";
import { LedgerService } from "#gen/sovr/ledger/v1/ledger_service_pb.ts";
import type { Subject } from "../../cli/tls/authority.ts";
import { createTokenIssuer, type TokenIssuer } from "../support/rpc/token-issuer.ts";
import {
  createTestAuthority,
  inDays,
  type TestAuthority,
  writeTlsFolder,
} from "../support/tls/test-authority.ts";

const logger = createLogger("test", "silent");
/** Knows no assets, and nothing else. */
const ledger = new Proxy({} as ServiceImpl<typeof LedgerService>, {
  get: (_target, name) => async () => {
    if (name === "listAssets") return {};
    throw new Error("not part of this test");
  },
});

let root: string;
let authority: TestAuthority;
let stranger: TestAuthority;
let issuer: TokenIssuer;
let token: string;
let service: Running;
let envoy: Certificates;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "sovr-tls-"));
  [authority, stranger, issuer] = await Promise.all([
    createTestAuthority(),
    createTestAuthority("stranger"),
    createTokenIssuer(),
  ]);
  token = await issuer.token({ scope: "ledger.read" });
  await writeFolder("ledger");
  service = await start("ledger");
  envoy = await certificatesOf("envoy");
});
afterAll(async () => {
  envoy.close();
  await service.stop();
  issuer[Symbol.dispose]();
  rmSync(root, { recursive: true, force: true });
});

async function writeFolder(part: PartName, change: Partial<Subject> = {}, from = authority) {
  const issued = await from.issue(part, change);
  return writeTlsFolder(join(root, part), issued, authority.certificate);
}

async function certificatesOf(part: PartName): Promise<Certificates> {
  const folder = await writeFolder(part);
  return openCertificates({ config: { folder, trustDomain: "sovr-mesh" }, name: part, logger });
}

function start(name: "ledger" | "clearing", environment = "production"): Promise<Running> {
  const any = "127.0.0.1:0";
  return serve({
    config: runtimeConfig(name, {
      SOVR_ENVIRONMENT: environment,
      JWT_JWKS_FILE: issuer.jwksPath,
      TLS_FOLDER: join(root, name),
      GRPC_ADDRESS: any,
      CONNECT_ADDRESS: any,
      METRICS_ADDRESS: any,
    }),
    mounts: [mountOf(LedgerService, ledger)],
    contracts,
    dependencies: [],
    close: async () => undefined,
    logger,
  });
}

function grpcClient(certificates: Certificates, peer: ListenerName = "ledger", to = service) {
  return createRpcClient(LedgerService, {
    address: `127.0.0.1:${to.ports.grpc}`,
    security: { certificates, peer },
    token: async () => token,
    defaultTimeoutMs: 20_000,
  });
}

function connectClient(httpVersion: "1.1" | "2", nodeOptions: ConnectionOptions, to = service) {
  const transport = createConnectTransport({
    baseUrl: `https://127.0.0.1:${to.ports.connect}`,
    httpVersion,
    nodeOptions,
    interceptors: [
      (next) => (request) => {
        request.header.set("authorization", `Bearer ${token}`);
        return next(request);
      },
    ],
  });
  return createClient(LedgerService, transport);
}

async function metrics(): Promise<string> {
  return (await fetch(`http://127.0.0.1:${service.ports.metrics}/metrics`)).text();
}

describe("who may call", () => {
  test("is served by gRPC, by Connect over HTTP/2, and over HTTP/1.1", async () => {
    using grpc = grpcClient(envoy);
    expect((await grpc.listAssets({})).assets).toEqual([]);
    for (const version of ["1.1", "2"] as const) {
      const client = connectClient(version, peerOptions(envoy, "ledger"));
      expect((await client.listAssets({}, { timeoutMs: 20_000 })).assets).toEqual([]);
    }
  });

  test("is Studio where its faucet is, and nowhere else", async () => {
    await writeFolder("clearing");
    using opened = closing(await certificatesOf("studio"));
    const [development, production] = [
      await start("clearing", "development"),
      await start("clearing"),
    ];
    try {
      using welcome = grpcClient(opened.certificates, "clearing", development);
      expect((await welcome.listAssets({})).assets).toEqual([]);
      using refused = grpcClient(opened.certificates, "clearing", production);
      await expect(refused.listAssets({}, { timeoutMs: 2_000 })).rejects.toThrow(ConnectError);
    } finally {
      await Promise.all([development.stop(), production.stop()]);
    }
  });

  test("asks for the health of the process without any certificate, and learns when it expires", async () => {
    const at = `http://127.0.0.1:${service.ports.metrics}`;
    const { certificateExpires } = (await (await fetch(`${at}/readyz`)).json()) as {
      certificateExpires: number;
    };
    expect(Math.abs(certificateExpires - inDays(1).getTime())).toBeLessThan(600_000);
    const told = /^tls_certificate_expiration_timestamp_seconds (\d+)/m.exec(await metrics())?.[1];
    expect(Number(told)).toBeGreaterThan(Date.now() / 1_000);
  });
});

function closing(certificates: Certificates) {
  return { certificates, [Symbol.dispose]: () => certificates.close() };
}

/** What a client shows that should not get in. */
const bad: readonly [string, () => Promise<ConnectionOptions>][] = [
  ["no certificate", async () => ({})],
  ["one of another authority", () => shown(stranger, "envoy")],
  ["one that expired", () => shown(authority, "envoy", { to: inDays(-0.5) })],
  ["one of tomorrow", () => shown(authority, "envoy", { from: inDays(1), to: inDays(2) })],
  ["a part's that has no business here", () => shown(authority, "checkout")],
  ["its own", () => shown(authority, "ledger")],
  ["another mesh's", () => shown(authority, "envoy", { uris: ["spiffe://staging/envoy"] })],
  ["a name's alone", () => shown(authority, "envoy", { uris: [], dnsNames: ["envoy"] })],
  [
    "one with its name inside another",
    () => shown(authority, "envoy", { uris: ["spiffe://a, URI:spiffe://sovr-mesh/envoy, URI:b"] }),
  ],
];

async function shown(
  by: TestAuthority,
  part: PartName,
  change: Partial<Subject> = {},
): Promise<ConnectionOptions> {
  const { certificate, key } = await by.issue(part, change);
  return { cert: certificate, key };
}

/** Sends a request by TLS, and gives what comes back until the connection ends, however it does. */
async function ask(port: number, options: ConnectionOptions, request: string): Promise<string> {
  const socket = connectTls({
    host: "127.0.0.1",
    port,
    ca: authority.certificate,
    checkServerIdentity: () => undefined,
    ...options,
  });
  let heard = "";
  socket.on("data", (bytes: Buffer) => {
    heard += bytes.toString("latin1");
  });
  socket.on("error", () => undefined);
  socket.write(request);
  await closed(socket);
  return heard;
}

/** Resolves when it has closed, also by an error. */
const closed = (it: NodeJS.EventEmitter) => new Promise((resolve) => it.once("close", resolve));

/** A preface, settings, and the end of the connection. */
const http2 = `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${"\0\0\0\x04\0\0\0\0\0"}${"\0\0\x08\x07\0\0\0\0\0"}${"\0".repeat(8)}`;
const http1 = "GET /plain HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

describe("whoever shows", () => {
  test.each(bad)("%s hears nothing on either port", async (_, options) => {
    const connection = await options();
    expect(await ask(service.ports.connect, connection, http1)).toBe("");
    const h2 = { ...connection, ALPNProtocols: ["h2"] };
    expect(await ask(service.ports.grpc, h2, http2)).toBe("");
  });

  test("a good one hears, so that the test above can fail", async () => {
    const options = await shown(authority, "envoy");
    expect(await ask(service.ports.connect, options, http1)).toMatch(/^HTTP\/1\.1 415/);
    const h2 = { ...options, ALPNProtocols: ["h2"] };
    expect(await ask(service.ports.grpc, h2, http2)).not.toBe("");
  });

  test("nothing at all, in the clear, is cut off", async () => {
    for (const port of [service.ports.grpc, service.ports.connect]) {
      const socket = connectTcp(port, "127.0.0.1");
      socket.on("error", () => undefined);
      socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
      expect(await text(socket).catch(() => "")).not.toMatch(/HTTP/);
    }
    const session = connectHttp2(`http://127.0.0.1:${service.ports.connect}`);
    session.on("error", () => undefined);
    await closed(session);
  });

  test("is counted, by why", async () => {
    await ask(service.ports.connect, {}, http1);
    await ask(service.ports.connect, await shown(authority, "checkout"), http1);
    const count = async (why: string) =>
      Number(
        new RegExp(`^tls_connections_refused_total\\{why="${why}"\\} (\\d+)`, "m").exec(
          await metrics(),
        )?.[1],
      );
    await expect.poll(() => count("handshake")).toBeGreaterThanOrEqual(1);
    await expect.poll(() => count("caller")).toBeGreaterThanOrEqual(1);
  });
});

describe("the protocol", () => {
  const negotiated = async (options: ConnectionOptions) => {
    const socket: TLSSocket = connectTls({
      host: "127.0.0.1",
      port: service.ports.connect,
      ...peerOptions(envoy, "ledger"),
      ...options,
    });
    await once(socket, "secureConnect");
    const { standardName } = socket.getCipher();
    const found = [socket.getProtocol(), socket.alpnProtocol, standardName] as const;
    socket.destroy();
    return found;
  };

  test("is TLS 1.3 where both have it, and HTTP/2 where that is wished for", async () => {
    const [version, protocol, cipher] = await negotiated({ ALPNProtocols: ["h2", "http/1.1"] });
    expect([version, protocol]).toEqual(["TLSv1.3", "h2"]);
    expect(cipher).toMatch(/^TLS_(AES|CHACHA20)/);
  });

  test("is TLS 1.2 with forward secrecy at least", async () => {
    const [version, , cipher] = await negotiated({ maxVersion: "TLSv1.2" });
    expect(version).toBe("TLSv1.2");
    expect(cipher).toMatch(/^TLS_ECDHE_ECDSA_WITH_(AES_\d+_GCM|CHACHA20)/);
  });

  test.each([
    ["TLS 1.1", { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" }],
    [
      "a cipher without authentication of its own",
      { maxVersion: "TLSv1.2", ciphers: "ECDHE-ECDSA-AES128-SHA256" },
    ],
  ] satisfies [string, ConnectionOptions][])("is not %s", async (_, options) => {
    await expect(negotiated(options)).rejects.toThrow();
  });
});

describe("a client of a peer", () => {
  test.each([
    ["another part", "clearing" as const],
    ["a part that only calls itself so", "attestor" as const],
  ])("does not speak with %s that answers in its place", async (_, peer) => {
    using client = grpcClient(envoy, peer);
    const refused = client.listAssets({}, { timeoutMs: 2_000 });
    await expect(refused).rejects.toMatchObject({
      code: expect.toSatisfy((code) => [Code.Unavailable, Code.DeadlineExceeded].includes(code)),
    });
  });

  test("does not speak with a server of another authority", async () => {
    const folder = join(root, "trusting");
    writeTlsFolder(folder, await authority.issue("envoy"), stranger.certificate);
    const config = { folder, trustDomain: "sovr-mesh" };
    using opened = closing(openCertificates({ config, name: "envoy", logger }));
    using client = grpcClient(opened.certificates);
    await expect(client.listAssets({}, { timeoutMs: 2_000 })).rejects.toThrow(ConnectError);
  });
});

test("a certificate that is renewed, of either side, fails no call, and new connections show it", async () => {
  const served = async () => {
    const socket = connectTls({
      host: "127.0.0.1",
      port: service.ports.grpc,
      ...peerOptions(envoy, "ledger"),
      ALPNProtocols: ["h2"],
    });
    await once(socket, "secureConnect");
    const serial = socket.getPeerX509Certificate()?.serialNumber;
    socket.destroy();
    return serial;
  };
  const before = await served();
  using grpc = grpcClient(envoy);
  const callers = [grpc, connectClient("2", peerOptions(envoy, "ledger"))];
  let done = 0;
  let stopped = false;
  const calling = callers.map(async (client) => {
    while (!stopped) {
      await client.listAssets({}, { timeoutMs: 60_000 });
      done += 1;
    }
  });
  await Promise.all([writeFolder("ledger"), writeFolder("envoy")]);
  await expect.poll(served, { timeout: 20_000 }).not.toBe(before);
  const renewed = done;
  // Those that were there go on, and so do new ones.
  using another = grpcClient(envoy);
  await another.listAssets({});
  await expect.poll(() => done).toBeGreaterThan(renewed + 1);
  stopped = true;
  await Promise.all(calling);
});

test("while authorities change, both are believed", async () => {
  const issued = await authority.issue("ledger");
  const both = `${authority.certificate}\n${stranger.certificate}`;
  writeTlsFolder(join(root, "ledger"), issued, both);
  const folder = writeTlsFolder(join(root, "next"), await stranger.issue("envoy"), both);
  const config = { folder, trustDomain: "sovr-mesh" };
  using opened = closing(openCertificates({ config, name: "envoy", logger }));
  const answer = async () => {
    using client = grpcClient(opened.certificates);
    try {
      await client.listAssets({}, { timeoutMs: 2_000 });
      return "served";
    } catch (error) {
      return String(error);
    }
  };
  await expect.poll(answer, { timeout: 20_000 }).toBe("served");
  using old = grpcClient(envoy);
  await old.listAssets({});
});

test("with certificates that are no good it does not start, and leaves nothing behind", async () => {
  await writeFolder("clearing", { to: inDays(-0.5) });
  await expect(start("clearing")).rejects.toThrow(/^TLS_FOLDER is .*tls\.crt expired/);
});
