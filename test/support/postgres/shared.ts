// Before the files of a suite: the PostgreSQL in which each that needs no server of its own has a database.
import type { TestProject } from "vitest/node";
import { migrate } from "#common/postgres/migrate.ts";
import { createPool } from "#common/postgres/pool.ts";
import { startPostgres } from "./postgres.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Of the shared server; postgres://user:password@host:port/postgres */
    readonly postgresUrl: string;
  }
}

/** For every file that runs at once, with as many replicas as a test may open. */
const connectionsMax = 400;

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { databaseUrl, stop } = await startPostgres({ connectionsMax });
  project.provide("postgresUrl", databaseUrl);
  // Roles are the server's: of two databases that are migrated at the same time both would make them.
  const pool = createPool({ databaseUrl, applicationName: "test" });
  for (const service of ["clearing", "attestor", "checkout"]) {
    const folder = new URL(`../../../services/${service}/migrations/`, import.meta.url);
    await migrate(pool, service, folder);
  }
  await pool.end();
  return stop;
}
