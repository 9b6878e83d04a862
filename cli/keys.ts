import { readArguments, runCommand } from "./command/command.ts";
import { Problem } from "./command/problem.ts";
import { writeDatabaseUrls } from "./parts/postgres.ts";
import { handOut } from "./state/hand-out.ts";
import { ensureKeys } from "./state/keys.ts";
import { readSettings } from "./state/settings.ts";

const usage = "./mesh keys DATABASE_HOST:PORT [--hand-out FOLDER]";

/**
 * Makes what a mesh in containers is given as files: keys, and the URLs of a database that is reached at the address. Hands
 * out to each part what is its own, if it is told where.
 */
runCommand(async () => {
  const { positionals, values } = readArguments({ "hand-out": { type: "string" } }, usage);
  const [address, ...more] = positionals;
  if (address === undefined || more.length > 0 || !/^[A-Za-z0-9.-]+:[0-9]{1,5}$/.test(address)) {
    throw new Problem(`name where PostgreSQL is reached (usage: ${usage})`);
  }
  const files = await ensureKeys(readSettings(process.env));
  writeDatabaseUrls(files, address);
  const target = values["hand-out"];
  if (target !== undefined) handOut(files, target);
  console.log(files.folder);
  return 0;
});
