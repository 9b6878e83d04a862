import { DatabaseError } from "pg";
import { inTransaction } from "#common/postgres/in-transaction.ts";
import { type Pool, type PoolClient, withRecords } from "#common/postgres/pool.ts";
import { findRole, type RoleName } from "#common/roles.ts";
import { signInLimits } from "../sign-in/limits.ts";
import type { AddedSession, Attempt, Challenge, Session, SessionStore } from "../sign-in/ports.ts";

/** Where the tables come from. */
export const migrations = new URL("../migrations/", import.meta.url);

/** What is over is deleted by whoever adds the next, some at a time. */
const sweptMax = 100;

/** Sessions in PostgreSQL. `idleMs`: how long nothing may be asked in one. */
export function createSessionStore(pool: Pool, idleMs: number): SessionStore {
  const add = (table: string, work: (client: PoolClient) => Promise<unknown>) =>
    despiteDeadlocks(() =>
      inTransaction(pool, async (client) => {
        await sweep(client, table);
        await work(client);
      }),
    );
  return {
    addChallenge: ({ nonce, wallet, message, expiresAtMs }) =>
      add("studio_challenge", (client) =>
        client.query(
          "insert into studio_challenge (nonce, wallet, message, expire_time) values ($1, $2, $3, $4)",
          [nonce, wallet, message, new Date(expiresAtMs)],
        ),
      ),
    takeChallenge: (nonce) =>
      takeOne<ChallengeRow, Challenge>(
        pool,
        "delete from studio_challenge where nonce = $1 returning nonce, wallet, message, expire_time",
        nonce,
        ({ expire_time, ...row }) => ({ ...row, expiresAtMs: expire_time.getTime() }),
      ),
    addAttempt: (idHash, { state, nonce, codeVerifier, expiresAtMs, replaced }) =>
      add("studio_attempt", (client) =>
        client.query(
          `insert into studio_attempt (id_hash, state, nonce, code_verifier, expire_time, replaced)
           values ($1, $2, $3, $4, $5, $6)`,
          [idHash, state, nonce, codeVerifier, new Date(expiresAtMs), replaced ?? null],
        ),
      ),
    takeAttempt: (idHash) =>
      takeOne<AttemptRow, Attempt>(
        pool,
        `delete from studio_attempt where id_hash = $1
         returning state, nonce, code_verifier, expire_time, replaced`,
        idHash,
        (row) => ({
          state: row.state,
          nonce: row.nonce,
          codeVerifier: row.code_verifier,
          expiresAtMs: row.expire_time.getTime(),
          replaced: row.replaced ?? undefined,
        }),
      ),
    addSession: (added) => add("studio_session", (client) => insertSession(client, added)),
    touchSession: (idHash, nowMs) => touchSession(pool, { idHash, nowMs, idleMs }),
    async endSession(idHash) {
      await withRecords(() =>
        pool.query("delete from studio_session where id_hash = $1", [idHash]),
      );
    },
  };
}

interface ChallengeRow {
  readonly nonce: string;
  readonly wallet: string;
  readonly message: string;
  readonly expire_time: Date;
}

interface AttemptRow {
  readonly state: string;
  readonly nonce: string;
  readonly code_verifier: string;
  readonly replaced: Uint8Array | null;
  readonly expire_time: Date;
}

interface SessionRow {
  readonly subject: string;
  readonly name: string;
  readonly wallet: string | null;
  readonly roles: readonly string[];
  readonly expire_time: Date;
}

const attemptsMax = 5;

/** Two sign-ins that each end the other's session wait for each other; PostgreSQL then takes one of them back. */
async function despiteDeadlocks(work: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      const isDeadlock = error instanceof DatabaseError && error.code === "40P01";
      if (!isDeadlock || attempt >= attemptsMax) throw error;
    }
  }
}

/** The key of a table whose rows expire, by its name: of this file alone, so that no text of a caller's is SQL. */
const keyOf: Readonly<Record<string, string>> = {
  studio_session: "id_hash",
  studio_challenge: "nonce",
  studio_attempt: "id_hash",
};

async function sweep(client: PoolClient, table: string): Promise<void> {
  const key = keyOf[table];
  if (key === undefined) throw new Error(`no rows of ${table} expire`);
  await client.query(
    `delete from ${table} where ${key} in
       (select ${key} from ${table} where expire_time < now() order by expire_time limit ${sweptMax}
        for update skip locked)`,
  );
}

async function takeOne<Row extends object, Taken>(
  pool: Pool,
  sql: string,
  key: string | Uint8Array,
  toTaken: (row: Row) => Taken,
): Promise<Taken | undefined> {
  const { rows } = await withRecords(() => pool.query<Row>(sql, [key]));
  const [row] = rows;
  return row === undefined ? undefined : toTaken(row);
}

async function insertSession(
  client: PoolClient,
  { idHash, session, replaced, nowMs }: AddedSession,
): Promise<void> {
  const { subject, name, wallet, roles, expiresAtMs } = session;
  // Two sign-ins of one subject at once take turns, or both would find room.
  await client.query("select pg_advisory_xact_lock(hashtextextended($1, 0))", [subject]);
  if (replaced !== undefined) {
    await client.query("delete from studio_session where id_hash = $1", [replaced]);
  }
  await client.query(
    `delete from studio_session where id_hash in
       (select id_hash from studio_session where subject = $1 order by use_time desc offset $2)`,
    [subject, signInLimits.sessionsOfSubject - 1],
  );
  await client.query(
    `insert into studio_session (id_hash, subject, name, wallet, roles, use_time, expire_time)
     values ($1, $2, $3, $4, $5, $6, $7)`,
    [idHash, subject, name, wallet ?? null, roles, new Date(nowMs), new Date(expiresAtMs)],
  );
}

interface Use {
  readonly idHash: Uint8Array;
  readonly nowMs: number;
  readonly idleMs: number;
}

async function touchSession(
  pool: Pool,
  { idHash, nowMs, idleMs }: Use,
): Promise<Session | undefined> {
  const { rows } = await withRecords(() =>
    pool.query<SessionRow>(
      `update studio_session set use_time = greatest(use_time, $2)
       where id_hash = $1 and expire_time > $2 and use_time > $3
       returning subject, name, wallet, roles, expire_time`,
      [idHash, new Date(nowMs), new Date(nowMs - idleMs)],
    ),
  );
  const [row] = rows;
  if (row === undefined) return undefined;
  const { subject, name, wallet, expire_time } = row;
  return {
    subject,
    name,
    wallet: wallet ?? undefined,
    // A role that a newer version gave is none that this one knows.
    roles: row.roles.filter((role): role is RoleName => findRole(role) !== undefined),
    expiresAtMs: expire_time.getTime(),
  };
}
