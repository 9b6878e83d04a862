import { randomUUID } from "node:crypto";
import { inject } from "vitest";
import { createPool } from "#common/postgres/pool.ts";
import { noteStarted } from "../../../cli/test/started.ts";
import type { TestDatabase } from "./postgres.ts";
import type {} from "./shared.ts";

/** It writes 8 MB; on a slow disk that takes. */
const patienceMs = 45_000;

/**
 * Opens a fresh database of a test's own in the server that its suite shares. For whatever does not stop the server,
 * and asks nothing of it as a whole: its roles are there before the first migration.
 */
export function openDatabase(): Promise<TestDatabase> {
  return createDatabase("template1");
}

/** Opens a copy of a database as it is now, which nobody may be connected to. */
export function copyDatabase({
  databaseUrl,
}: Pick<TestDatabase, "databaseUrl">): Promise<TestDatabase> {
  return createDatabase(new URL(databaseUrl).pathname.slice(1));
}

async function createDatabase(template: string): Promise<TestDatabase> {
  const server = inject("postgresUrl");
  const name = `test_${randomUUID().replaceAll("-", "_")}`;
  const url = new URL(server);
  url.pathname = `/${name}`;
  await execute(server, `create database ${name} template ${template}`);
  noteStarted("database");
  let dropped = false;
  return {
    databaseUrl: url.href,
    stop: async () => {
      if (dropped) return;
      dropped = true;
      // Whoever is still connected is told to go, as by the end of a server.
      await execute(server, `drop database ${name} with (force)`);
    },
  };
}

async function execute(databaseUrl: string, statement: string): Promise<void> {
  const patience = { statementTimeoutMs: patienceMs, connectTimeoutMs: patienceMs };
  const pool = createPool({ databaseUrl, applicationName: "test", connectionsMax: 1, ...patience });
  try {
    await pool.query(statement);
  } finally {
    await pool.end();
  }
}
