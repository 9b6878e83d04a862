/**
 * Goal: a mesh that is encrypted is so everywhere, works as any other, lets nobody in without the right certificate, and
 * renews what it shows without a failed call. Method: one `./mesh up --tls`, clients of every kind, an Envoy beside its own
 * that meets impostors.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer as createHttps, request as requestHttps } from "node:https";
import { type AddressInfo, connect as connectTcp } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import { promisify } from "node:util";
import { createClient } from "@connectrpc/connect";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { PartName } from "#common/process/tls/parts.ts";
import { serviceNames } from "#common/service-names.ts";
import { LedgerService } from "#gen/sovr/ledger/v1/ledger_service_pb.ts";
import { requireEnvoy } from "../../cli/bring/envoy.ts";
import { findProgram } from "../../cli/command/run-program.ts";
import { edgeSecretFiles } from "../../cli/parts/edge-tls.ts";
import { envoyValues, renderTemplate } from "../../cli/parts/envoy-config.ts";
import { keyFiles } from "../../cli/state/keys.ts";
import { repositoryRoot } from "../../cli/state/settings.ts";
import { issueCertificate } from "../../cli/tls/authority.ts";
import { ensureCertificates } from "../../cli/tls/mesh-certificates.ts";
import { authorityFiles, tlsFolder } from "../../cli/tls/tls-files.ts";
import { trustMesh } from "../../cli/tls/trust-mesh.ts";
import { codeBlocks } from "../support/mesh/code-blocks.ts";
import { startMesh, type TestMesh } from "../support/mesh/mesh.ts";
import { freePort } from "../support/rpc/free-port.ts";
import { healthyStatus } from "../support/rpc/healthy-status.ts";
import { createTestAuthority, inDays } from "../support/tls/test-authority.ts";

const run = promisify(execFile);
const hasGrpcurl = findProgram("grpcurl") !== undefined;
/** The commands of the page, in their order; the mesh that they start is there already. */
const blocks = codeBlocks(readFileSync(join(repositoryRoot, "docs/tls.md"), "utf8")).filter(
  ({ language }) => language === "sh",
);

let mesh: TestMesh;
let ca: string;

beforeAll(async () => {
  mesh = await startMesh({ environment: { MESH_TLS: "true" } });
  ca = readFileSync(authorityFiles(mesh.settings).certificate, "utf8");
});
afterAll(() => mesh?.stop());

/** What the mesh's own part shows. */
function shownBy(part: PartName): { readonly cert: Buffer; readonly key: Buffer } {
  const read = (file: string) => readFileSync(join(tlsFolder(mesh.settings, part), file));
  return { cert: read("tls.crt"), key: read("tls.key") };
}

/** Every port of the mesh that is for its own parts, and one that may call there. */
function ports(): readonly (readonly [string, number])[] {
  const { services, studio, stripeSim = 0 } = mesh.settings.ports;
  return [
    ...serviceNames.flatMap((name) => [
      [`${name}'s gRPC`, services[name].grpc] as const,
      [`${name}'s Connect`, services[name].connect] as const,
    ]),
    ["Studio", studio.connect],
    ["the simulator", stripeSim],
  ];
}

/** What a port answers to a request by TLS, until the connection ends. */
async function heard(port: number, options: ConnectionOptions): Promise<string> {
  const socket = connectTls({
    host: "127.0.0.1",
    port,
    ca,
    checkServerIdentity: () => undefined,
    ALPNProtocols: ["http/1.1"],
    ...options,
  });
  let all = "";
  socket.on("data", (bytes: Buffer) => {
    all += bytes.toString("latin1");
  });
  socket.on("error", () => undefined);
  socket.write("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
  await new Promise((resolve) => socket.once("close", resolve));
  return all;
}

describe("it works as any other", () => {
  test("all parts serve, and status says how long their certificates are good", async () => {
    const { parts } = JSON.parse(await healthyStatus(mesh)) as {
      parts: readonly { readonly name: string; readonly certificateExpires?: string }[];
    };
    expect(parts).toHaveLength(9);
    for (const { name, certificateExpires } of parts) {
      const leftMs = Date.parse(certificateExpires ?? "") - Date.now();
      expect([name, Math.round(leftMs / 86_400_000)]).toEqual([name, 30]);
    }
  });

  for (const { code, line } of blocks) {
    const needsGrpcurl = code.includes("grpcurl ");
    const title = `docs/tls.md does what its block in line ${line} says`;
    test.skipIf(needsGrpcurl && !hasGrpcurl)(
      needsGrpcurl ? `${title} (needs grpcurl)` : title,
      async () => {
        const here = code
          .replaceAll(".mesh/", `${mesh.settings.state}/`)
          .replaceAll("127.0.0.1:8080", mesh.address);
        const { stdout } = await run("sh", ["-eu", "-c", here], {
          cwd: repositoryRoot,
          env: mesh.environment,
        });
        const prints = needsGrpcurl
          ? [/sovr\.ledger\.v1\.LedgerService/]
          : [/certificate\n.*postgres.* 29 days/, /Debits equal credits/, /<!doctype html>/];
        for (const pattern of prints) expect(stdout).toMatch(pattern);
      },
    );
  }

  test("and the audit finds nothing", async () => {
    const audit = await mesh.run("audit");
    expect([audit.code, audit.stdout]).toEqual([0, expect.stringContaining("balanced")]);
  });

  test("Studio gives play money away, which it has attested and cleared", async () => {
    const wallet = mesh.wallet("tls").address;
    trustMesh(mesh.settings);
    const given = await fetch(`https://${mesh.address}/dev/faucet`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        authorization: `Bearer ${await mesh.token({ wallet })}`,
      },
      body: JSON.stringify({ amount: "2000" }),
    });
    expect([given.status, await given.json()]).toEqual([200, { intentId: expect.any(String) }]);
  });

  test("nothing of it is for anybody else to read", () => {
    const folder = join(mesh.settings.state, "tls");
    const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
    expect(entries.length).toBeGreaterThan(30);
    const wide = entries
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((path) => (statSync(path).mode & 0o077) !== 0);
    expect(wide).toEqual([]);
  });
});

describe("nobody gets in", () => {
  test("at any port in the clear", async () => {
    const all = [...ports(), ["Envoy", mesh.settings.ports.envoy] as const];
    for (const [name, port] of all) {
      const socket = connectTcp(port, "127.0.0.1");
      socket.on("error", () => undefined);
      socket.write("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
      expect([name, await text(socket).catch(() => "")]).toEqual([
        name,
        expect.not.stringContaining("HTTP/"),
      ]);
    }
  });

  test("at a port of the parts without a certificate, with a stranger's, an old one, or that of a part without business there", async () => {
    const stranger = await createTestAuthority("stranger");
    const own = { certificate: ca, key: readFileSync(authorityFiles(mesh.settings).key, "utf8") };
    const uris = ["spiffe://sovr-mesh/envoy"];
    const old = await issueCertificate(own, {
      name: "old",
      uris,
      from: inDays(-2),
      to: inDays(-1),
    });
    const foreign = await stranger.issue("envoy");
    const shown: readonly ConnectionOptions[] = [
      {},
      { cert: foreign.certificate, key: foreign.key },
      { cert: old.certificate, key: old.key },
      shownBy("eventstream"),
    ];
    for (const [name, port] of ports()) {
      const answers = await Promise.all(shown.map((options) => heard(port, options)));
      expect([name, answers]).toEqual([name, ["", "", "", ""]]);
    }
  });

  test("but Envoy, so that the test above can fail", async () => {
    for (const [name, port] of ports().filter(([name]) => !name.includes("gRPC"))) {
      expect([name, await heard(port, shownBy("envoy"))]).toEqual([
        name,
        expect.stringMatching(/^HTTP\/1\.1 [1-5]/),
      ]);
    }
  });

  test("into PostgreSQL in the clear, or by a server that is another", async () => {
    const url = readFileSync(keyFiles(mesh.settings).databaseUrl, "utf8");
    const encrypted = async (connectionString: string) => {
      const client = new pg.Client({ connectionString, connectionTimeoutMillis: 20_000 });
      client.on("error", () => undefined);
      try {
        await client.connect();
        const { rows } = await client.query(
          "select ssl, version from pg_stat_ssl where pid = pg_backend_pid()",
        );
        return rows;
      } finally {
        await client.end().catch(() => undefined);
      }
    };
    expect(await encrypted(url)).toEqual([{ ssl: true, version: "TLSv1.3" }]);
    await expect(encrypted(url.replace(/\?.*/, ""))).rejects.toThrow(
      /no pg_hba.conf entry.*no enc/,
    );
    const stranger = join(mesh.settings.state, "stranger.crt");
    writeFileSync(stranger, (await createTestAuthority("stranger")).certificate);
    const other = url.replace(/&sslrootcert=.*/, `&sslrootcert=${encodeURIComponent(stranger)}`);
    await expect(encrypted(other)).rejects.toThrow(/certificate/);
  });
});

describe("the edge", () => {
  test("speaks TLS 1.3 and HTTP/2 with who wishes, and nothing below TLS 1.2", async () => {
    const meet = async (options: ConnectionOptions) => {
      const socket = connectTls({
        host: "127.0.0.1",
        port: mesh.settings.ports.envoy,
        ca,
        ...options,
      });
      await once(socket, "secureConnect");
      const found = [socket.getProtocol(), socket.alpnProtocol];
      socket.destroy();
      return found;
    };
    expect(await meet({ ALPNProtocols: ["h2", "http/1.1"] })).toEqual(["TLSv1.3", "h2"]);
    expect(await meet({ maxVersion: "TLSv1.2" })).toEqual(["TLSv1.2", false]);
    const old = {
      minVersion: "TLSv1",
      maxVersion: "TLSv1.1",
      ciphers: "DEFAULT@SECLEVEL=0",
    } as const;
    await expect(meet(old)).rejects.toThrow();
  });

  test("speaks with the part that it meant to, and with no impostor of the same authority", async () => {
    const impostor = await startImpostor("checkout");
    const genuine = await startImpostor("studio");
    const [to, from] = [
      await startEnvoyBeside(impostor.port),
      await startEnvoyBeside(genuine.port),
    ];
    try {
      expect(await from.status()).toBe(200);
      expect(await to.status()).toBe(503);
    } finally {
      await Promise.all([to.stop(), from.stop()]);
      impostor.stop();
      genuine.stop();
    }
  });
});

/** A server in the place of Studio that shows the certificate of a part. */
async function startImpostor(shows: PartName) {
  const server = createHttps({ ...shownBy(shows), ALPNProtocols: ["http/1.1"] }, (_, response) => {
    response.end("answered");
  }).listen(0, "127.0.0.1");
  server.on("tlsClientError", () => undefined);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    port,
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** Another Envoy of the mesh, for which Studio is somewhere else. */
async function startEnvoyBeside(studioPort: number) {
  const { settings } = mesh;
  const folder = join(settings.state, `envoy-${studioPort}`);
  mkdirSync(folder, { mode: 0o700 });
  const port = await freePort();
  const values = {
    ...envoyValues(settings),
    ENVOY_PORT: String(port),
    ENVOY_ADMIN_PORT: String(await freePort()),
    STUDIO_CONNECT_PORT: String(studioPort),
    EDGE_SECRETS_FOLDER: folder,
  };
  const template = readFileSync(join(settings.root, "envoy/envoy.yaml"), "utf8");
  writeFileSync(join(folder, "envoy.yaml"), renderTemplate(template, values));
  for (const [name, secret] of edgeSecretFiles(values)) writeFileSync(join(folder, name), secret);
  const program = await requireEnvoy(settings.root, () => undefined);
  const flags = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "error"];
  const envoy: ChildProcess = spawn(program, ["-c", join(folder, "envoy.yaml"), ...flags], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  const status = () =>
    new Promise<number>((resolve, reject) => {
      const sent = requestHttps({ host: "127.0.0.1", port, ca, path: "/" }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      sent.on("error", reject).end();
    });
  await expect.poll(() => status().catch(() => 0)).toBeGreaterThan(0);
  return {
    status,
    async stop() {
      envoy.kill("SIGKILL");
      if (envoy.exitCode === null && envoy.signalCode === null) await once(envoy, "exit");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

test("all certificates are renewed under calls, and none of them fails", async () => {
  const ledger = createClient(LedgerService, mesh.client().transport);
  const serials = async () => {
    const of = async (port: number, options: ConnectionOptions) => {
      const socket = connectTls({
        host: "127.0.0.1",
        port,
        ca,
        checkServerIdentity: () => undefined,
        ...options,
      });
      await once(socket, "secureConnect");
      const serial = socket.getPeerX509Certificate()?.serialNumber ?? "";
      socket.destroy();
      return serial;
    };
    const outside = await of(mesh.settings.ports.envoy, {});
    const inside = await Promise.all(ports().map(([, port]) => of(port, shownBy("envoy"))));
    return [outside, ...inside];
  };
  const before = await serials();
  let calls = 0;
  let stopped = false;
  const calling = [1, 2, 3].map(async () => {
    while (!stopped) {
      await ledger.listAssets({}, { timeoutMs: 60_000 });
      calls += 1;
    }
  });
  // Part by part, as when they come near their end.
  for (const part of [...serviceNames, "studio", "stripe-sim", "envoy"] as const) {
    rmSync(join(tlsFolder(mesh.settings, part), "tls.crt"));
    expect(await ensureCertificates(mesh.settings)).toEqual([part]);
  }
  await expect
    .poll(async () => (await serials()).filter((serial) => before.includes(serial)))
    .toEqual([]);
  const renewed = calls;
  await expect.poll(() => calls).toBeGreaterThan(renewed + 3);
  stopped = true;
  await Promise.all(calling);
  expect((await mesh.run("status")).code).toBe(0);
});
