import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";
import { escapeIdentifier, escapeLiteral } from "pg";
import { ensureRole } from "./migrate.ts";
import { createPool, withRecords } from "./pool.ts";

/** PostgreSQL's own number for passwords that it is told in the clear. */
const iterations = 4_096;

/** Who logs in: a role of PostgreSQL, which grants name, and what it proves itself with. */
export interface Login {
  readonly role: string;
  readonly password: string;
}

/** The login in a `postgres://role:password@…` URL. Throws Error, without the URL, if it has none or an odd one. */
export function loginOf(databaseUrl: string): Login {
  const url = URL.parse(databaseUrl.trim());
  const role = url?.username ?? "";
  const password = decodeURIComponent(url?.password ?? "");
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(role) || password === "") {
    throw new Error(
      "the URL names no login with a password, such as postgres://sovr_ledger:…@host/sovr",
    );
  }
  return { role, password };
}

/**
 * Lets a role log in with a password, as the owner of the database, who may make roles; makes the role if it is not there.
 * Throws RECORDS_UNAVAILABLE.
 */
export async function ensureLogin(ownerUrl: string, { role, password }: Login): Promise<void> {
  const pool = createPool({
    databaseUrl: ownerUrl,
    applicationName: "sovr-logins",
    connectionsMax: 1,
  });
  try {
    await withRecords(async () => {
      const client = await pool.connect();
      try {
        await ensureRole(client, role);
        const verifier = escapeLiteral(scramVerifier(password));
        await client.query(`alter role ${escapeIdentifier(role)} login password ${verifier}`);
      } finally {
        client.release();
      }
    });
  } finally {
    await pool.end();
  }
}

/** What PostgreSQL keeps of a password (RFC 5802, RFC 7677). Said in its place, the password reaches no log of the server. */
export function scramVerifier(password: string, salt = randomBytes(16)): string {
  const salted = pbkdf2Sync(password, salt, iterations, 32, "sha256");
  const hmac = (text: string) => createHmac("sha256", salted).update(text).digest();
  const storedKey = createHash("sha256").update(hmac("Client Key")).digest("base64");
  const serverKey = hmac("Server Key").toString("base64");
  return `SCRAM-SHA-256$${iterations}:${salt.toString("base64")}$${storedKey}:${serverKey}`;
}
