import { X509Certificate } from "node:crypto";
import { chownSync, existsSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import pg from "pg";
import { databaseUsers } from "#common/service-names.ts";
import { postgresPrograms } from "../bring/postgres.ts";
import { Problem } from "../command/problem.ts";
import { failureIn, runProgram } from "../command/run-program.ts";
import type { KeyFiles } from "../state/keys.ts";
import type { Settings } from "../state/settings.ts";
import { keepWhole, makeFolder, syncFolder, writeWhole } from "../state/write-whole.ts";
import { giveToPostgres } from "../tls/mesh-certificates.ts";
import { authorityFiles, tlsFolder } from "../tls/tls-files.ts";
import { migrateServices } from "./migrate-services.ts";
import type { Launch, Mesh, Part } from "./part.ts";
import { type Unprivileged, unprivileged } from "./unprivileged.ts";

const databaseName = "sovr";
const databaseUser = "sovr";

/** The records: attestations, orders, names. */
export function postgresPart(mesh: Mesh): Part {
  const { settings, keys } = mesh;
  // Once in the life of this process: a server that comes back has its tables and logins, and must come back on a disk that
  // is full as well.
  let prepared: Promise<void> | undefined;
  const prepare = () => {
    prepared ??= prepareRecords(keys).catch((error: unknown) => {
      prepared = undefined;
      throw error;
    });
    return prepared;
  };
  return {
    name: "postgres",
    dependsOn: [],
    ports: [{ variable: "POSTGRES_PORT", port: settings.ports.postgres }],
    readyMs: 60_000,
    // "Fast": SIGTERM would wait for every client to leave.
    stopSignal: "SIGINT",
    stopMs: 10_000,
    launch: () => launch(mesh),
    async probe() {
      const version = await probe(settings, keys);
      await prepare();
      return version;
    },
    async certificateExpiresMs() {
      if (!settings.tls) return undefined;
      // It reads its files again whenever they are renewed, and tells nobody which it has.
      const certificate = readFileSync(join(tlsFolder(settings, "postgres"), "tls.crt"));
      return new X509Certificate(certificate).validToDate.getTime();
    },
  };
}

/** Where a database is, and how it is spoken with. */
interface Place {
  /** host:port */
  readonly address: string;
  /** What follows the URL: how it is encrypted. */
  readonly query: string;
}

/** The owner's URL of the mesh's database, or of another of the same server. */
function ownerUrl(keys: KeyFiles, { address, query }: Place, database = databaseName): string {
  const password = readFileSync(keys.databasePassword, "utf8");
  return `postgres://${databaseUser}:${password}@${address}/${database}${query}`;
}

/** Says to the owner and to every service where the database is, at an address (host:port), and as whom to log in there. */
export function writeDatabaseUrls(keys: KeyFiles, address: string, query = ""): void {
  keepWhole(keys.databaseUrl, ownerUrl(keys, { address, query }));
  for (const name of databaseUsers) {
    const login = keys.databaseLogins[name];
    const password = readFileSync(login.password, "utf8");
    const user = `sovr_${name}:${password}`;
    keepWhole(login.url, `postgres://${user}@${address}/${databaseName}${query}`);
  }
}

/** Brings the tables up to date and lets the services log in. */
function prepareRecords(keys: KeyFiles): Promise<void> {
  const url = (file: string) => readFileSync(file, "utf8");
  const logins = databaseUsers.map((name) => ({
    name,
    databaseUrl: url(keys.databaseLogins[name].url),
  }));
  return migrateServices(url(keys.databaseUrl), logins);
}

/** Makes the data folder if it is not there yet, and says how to start the server on it. */
async function launch({ settings, keys, environment }: Mesh): Promise<Launch> {
  const data = join(settings.state, "postgres");
  const programs = postgresPrograms();
  const user = unprivileged(data, programs.postgres);
  if (!existsSync(join(data, "PG_VERSION"))) await initialise(data, programs.initdb, user, keys);
  const { address, query } = placeOf(settings);
  writeDatabaseUrls(keys, address, query);
  const flags = {
    listen_addresses: settings.host,
    port: String(settings.ports.postgres),
    unix_socket_directories: "",
    // For a developer's machine: enough connections for every service, little memory.
    max_connections: "100",
    shared_buffers: "64MB",
    ...tlsFlags(settings),
  };
  return {
    command: [
      ...user.prefix,
      programs.postgres,
      "-D",
      data,
      ...Object.entries(flags).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
    ],
    env: environment,
    uid: user.uid,
    gid: user.gid,
  };
}

/** The version of the server, once it answers; makes the database the first time. Throws while it does not. */
async function probe(settings: Settings, keys: KeyFiles): Promise<string> {
  const place = placeOf(settings);
  const url = ownerUrl(keys, place);
  try {
    return await serverVersion(url);
  } catch (error) {
    if ((error as { code?: string }).code !== "3D000") throw error; // no such database
    const admin = ownerUrl(keys, place, "postgres");
    await withClient(admin, (client) => client.query(`create database ${databaseName}`));
    return await serverVersion(url);
  }
}

function placeOf(settings: Settings): Place {
  const { host, ports, tls } = settings;
  const authority = encodeURIComponent(authorityFiles(settings).certificate);
  return {
    address: `${host}:${ports.postgres}`,
    query: tls ? `?sslmode=verify-full&sslrootcert=${authority}` : "",
  };
}

/** Of a server that takes nobody in the clear. */
function tlsFlags(settings: Settings): Record<string, string> {
  if (!settings.tls) return {};
  const folder = tlsFolder(settings, "postgres");
  const rules = join(folder, "pg_hba.conf");
  keepWhole(rules, "hostssl all all all scram-sha-256\n");
  giveToPostgres(settings);
  return {
    ssl: "on",
    ssl_cert_file: join(folder, "tls.crt"),
    ssl_key_file: join(folder, "tls.key"),
    ssl_min_protocol_version: "TLSv1.2",
    hba_file: rules,
  };
}

function serverVersion(url: string): Promise<string> {
  return withClient(url, async (client) => {
    const { rows } = await client.query<{ server_version: string }>("show server_version");
    return rows[0]?.server_version ?? "unknown";
  });
}

async function withClient<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: 2_000,
    query_timeout: 5_000,
  });
  // A server that stops mid-query also reports it here; the query itself rejects, which is enough.
  client.on("error", () => undefined);
  try {
    await client.connect();
    return await use(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Beside its place and then moved: a folder that initdb did not finish never looks like one of data. */
async function initialise(
  data: string,
  initdb: string,
  user: Unprivileged,
  keys: KeyFiles,
): Promise<void> {
  if (existsSync(join(data, "global/pg_control"))) {
    throw new Problem(`${data} holds data, and its file PG_VERSION is gone: put a copy of it back`);
  }
  const fresh = `${data}.new`;
  rmSync(fresh, { recursive: true, force: true }); // what an interrupted initdb left
  makeFolder(fresh, 0o700);
  if (user.owner !== undefined) chownSync(fresh, user.owner.uid, user.owner.gid);
  const [command = initdb, ...prefixed] = [...user.prefix, initdb];
  const passwordFile = `${data}-password`;
  writeWhole(passwordFile, readFileSync(keys.databasePassword, "utf8"));
  if (user.owner !== undefined) chownSync(passwordFile, user.owner.uid, user.owner.gid);
  const flags = [
    `--pgdata=${fresh}`,
    `--username=${databaseUser}`,
    "--auth=scram-sha-256",
    `--pwfile=${passwordFile}`,
    "--encoding=UTF8",
    "--locale=C",
    // In MB. A new segment is filled with zeros before it is used, and every commit waits for that: 15 to 60 ms for the
    // default of 16 MB, measured. A cluster that has run for a while recycles its segments; a developer's has none yet.
    "--wal-segsize=1",
    "--no-instructions",
  ];
  const result = await runProgram(command, [...prefixed, ...flags], {
    timeoutMs: 60_000,
    ...(user.uid === undefined ? {} : { uid: user.uid }),
    ...(user.gid === undefined ? {} : { gid: user.gid }),
  });
  rmSync(passwordFile);
  if (result.code !== 0) {
    throw new Problem(
      `could not make a PostgreSQL data folder in ${data}: ${failureIn(result.output)}`,
    );
  }
  // initdb has synced what is in it. What is at its place and no data is what an older version's initdb left.
  rmSync(data, { recursive: true, force: true });
  renameSync(fresh, data);
  syncFolder(dirname(data));
}
