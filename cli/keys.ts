import { readArguments, runCommand } from "./command/command.ts";
import { Problem } from "./command/problem.ts";
import { writeDatabaseUrls } from "./parts/postgres.ts";
import { ensureKeys } from "./state/keys.ts";
import { readSettings } from "./state/settings.ts";

const usage = "./mesh keys DATABASE_HOST:PORT";

/** Makes what a mesh in containers is given as files: keys, and the URLs of a database that is reached at the address. */
runCommand(async () => {
  const { positionals } = readArguments({}, usage);
  const [address, ...more] = positionals;
  if (address === undefined || more.length > 0 || !/^[A-Za-z0-9.-]+:[0-9]{1,5}$/.test(address)) {
    throw new Problem(`name where PostgreSQL is reached (usage: ${usage})`);
  }
  const files = await ensureKeys(readSettings(process.env));
  writeDatabaseUrls(files, address);
  console.log(files.folder);
  return 0;
});
