import { ensureLogin, loginOf } from "#common/postgres/logins.ts";
import { type MigrationLog, migrateAtStart } from "#common/postgres/migrate.ts";
import type { DatabaseUser } from "#common/service-names.ts";

/** Who has records, and the URL with which it will log in. */
export interface ServiceLogin {
  readonly name: DatabaseUser;
  readonly databaseUrl: string;
}

/** Those that own tables. The others read some of them. */
const owners: readonly DatabaseUser[] = ["attestor", "clearing", "checkout", "studio"];

/**
 * Brings the tables of services up to date, as the owner of the database, and lets each service log in as itself. Safe to
 * repeat, and to do at the same time elsewhere. Throws ConfigError as migrateAtStart, RECORDS_UNAVAILABLE, and an Error if a
 * URL names no login.
 */
export async function migrateServices(
  ownerUrl: string,
  logins: readonly ServiceLogin[],
  log?: MigrationLog,
): Promise<void> {
  // In the order of their names each time: whoever grants to another's role makes it.
  for (const { name } of logins) {
    if (!owners.includes(name)) continue;
    const folder = new URL(`../../services/${name}/migrations/`, import.meta.url);
    await migrateAtStart(ownerUrl, name, folder, log);
  }
  for (const { databaseUrl } of logins) await ensureLogin(ownerUrl, loginOf(databaseUrl));
}
