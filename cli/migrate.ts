import { readFileSync } from "node:fs";
import { DomainError } from "#common/domain-error.ts";
import { ConfigError, readSecret } from "#common/process/environment.ts";
import { databaseUsers } from "#common/service-names.ts";
import { readArguments, runCommand } from "./command/command.ts";
import { fileProblem, Problem } from "./command/problem.ts";
import { migrateServices, type ServiceLogin } from "./parts/migrate-services.ts";

const usage = `MIGRATION_DATABASE_URL_FILE=FILE ./mesh migrate ${databaseUsers.join("|")}=URL_FILE…`;

/** Brings the tables of services up to date as the owner of the database, and lets each service log in with its own URL. */
runCommand(async () => {
  const { positionals } = readArguments({}, usage);
  if (positionals.length === 0) throw new Problem(`name the services (usage: ${usage})`);
  const logins = positionals.map(readLogin);
  try {
    await migrateServices(
      readSecret(process.env, "MIGRATION_DATABASE_URL"),
      logins,
      (details, text) => console.log(`${text}: ${JSON.stringify(details)}`),
    );
  } catch (error) {
    if (error instanceof ConfigError || error instanceof DomainError)
      throw new Problem(error.message);
    throw error;
  }
  console.log(`ready for ${logins.map((login) => login.name).join(", ")}`);
  return 0;
});

function readLogin(text: string): ServiceLogin {
  const [name, file] = text.split("=");
  const user = databaseUsers.find((known) => known === name);
  if (user === undefined || file === undefined || file === "") {
    throw new Problem(`"${text}" is no service with the file of its URL (usage: ${usage})`);
  }
  try {
    return { name: user, databaseUrl: readFileSync(file, "utf8").trim() };
  } catch (error) {
    throw fileProblem(error) ?? error;
  }
}
