import { closeSync, openSync } from "node:fs";
import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import type {
  CreatedRange,
  Delivery,
  KeptAnswer,
  Kind,
  Kinds,
  PageQuery,
  Stored,
  Task,
} from "./stored.ts";

const schema = `
  create table if not exists objects (
    seq integer primary key autoincrement, id text not null unique, kind text not null,
    created integer not null, body text not null, hidden text not null) strict;
  create index if not exists objects_kind on objects (kind, seq);
  create index if not exists objects_payment_intent
    on objects (body ->> '$.payment_intent', kind) where kind in ('charge', 'refund');
  create index if not exists objects_charge on objects (body ->> '$.charge') where kind = 'refund';
  create table if not exists deliveries (
    id integer primary key autoincrement, event text not null, endpoint text not null,
    attempts integer not null, due_ms integer not null, forgery text not null) strict;
  create index if not exists deliveries_due on deliveries (due_ms, id);
  create index if not exists deliveries_event on deliveries (event);
  create table if not exists tasks (
    id integer primary key autoincrement, kind text not null, object text not null, due_ms integer not null) strict;
  create table if not exists answers (
    account text not null, key text not null, path text not null, fingerprint text not null,
    status integer not null, body text not null, request_id text not null, kept_ms integer not null,
    primary key (account, key)) strict;
  create index if not exists answers_kept on answers (kept_ms);
`;

export type Store = ReturnType<typeof openStore>;

/** Of SQLite's codes those that pass: somebody else is writing, the disk cannot be used, or it is full. */
const passingCodes = [5, 10, 13];

/** Whether an error of the store may be gone the next time, with whatever was asked of it. */
export function isStoreAway(error: unknown): boolean {
  if (!(error instanceof Error) || !("errcode" in error)) return false;
  return passingCodes.includes(Number(error.errcode) & 0xff);
}

/**
 * Opens the file, or memory for an empty path. What was committed survives kill -9 of this process and a power cut: a
 * payment that Stripe has told of is never forgotten, and whoever was told has acted on it.
 */
export function openStore(path: string) {
  // Secrets of endpoints and clients are in it.
  if (path !== "") closeSync(openSync(path, "a", 0o600));
  const database = new DatabaseSync(path === "" ? ":memory:" : path);
  // Exclusive: two simulators on one file would send everything twice.
  database.exec(
    "pragma busy_timeout = 2000; pragma locking_mode = exclusive; pragma journal_mode = wal; pragma synchronous = full",
  );
  database.exec(schema);
  const statements = new Map<string, ReturnType<DatabaseSync["prepare"]>>();

  function prepare(sql: string) {
    const known = statements.get(sql);
    if (known !== undefined) return known;
    const statement = database.prepare(sql);
    statements.set(sql, statement);
    return statement;
  }
  const run = (sql: string, ...values: SQLInputValue[]) => prepare(sql).run(...values);
  const one = (sql: string, ...values: SQLInputValue[]) => prepare(sql).get(...values);
  const all = (sql: string, ...values: SQLInputValue[]) => prepare(sql).all(...values);

  /** Runs all of `work` or nothing. */
  function transaction<T>(work: () => T): T {
    database.exec("begin immediate");
    try {
      const result = work();
      database.exec("commit");
      return result;
    } catch (error) {
      // On a full disk SQLite takes it back by itself.
      if (database.isTransaction) database.exec("rollback");
      throw error;
    }
  }

  return {
    transaction,
    ...objectTable(run, one, all),
    ...deliveryTable(run, one, all),
    ...answerTable(run, one),
    close: () => database.close(),
  };
}

type Row = Readonly<Record<string, unknown>>;
type Run = (sql: string, ...values: SQLInputValue[]) => unknown;
type One = (sql: string, ...values: SQLInputValue[]) => Row | undefined;
type All = (sql: string, ...values: SQLInputValue[]) => Row[];

function objectTable(run: Run, one: One, all: All) {
  return {
    insert<K extends Kind>(kind: K, body: Kinds[K], hidden: Stored<unknown>["hidden"] = {}) {
      run(
        "insert into objects (id, kind, created, body, hidden) values (?, ?, ?, ?, ?)",
        body.id,
        kind,
        body.created,
        JSON.stringify(body),
        JSON.stringify(hidden),
      );
    },
    replace<K extends Kind>(kind: K, body: Kinds[K]) {
      run(
        "update objects set body = ? where id = ? and kind = ?",
        JSON.stringify(body),
        body.id,
        kind,
      );
    },
    hide(kind: Kind, id: string, hidden: Stored<unknown>["hidden"]) {
      run(
        "update objects set hidden = ? where id = ? and kind = ?",
        JSON.stringify(hidden),
        id,
        kind,
      );
    },
    remove(kind: Kind, id: string) {
      run("delete from objects where kind = ? and id = ?", kind, id);
    },
    find<K extends Kind>(kind: K, id: string): Stored<Kinds[K]> | undefined {
      const row = one("select body, hidden from objects where id = ? and kind = ?", id, kind);
      return row === undefined ? undefined : toStored<Kinds[K]>(row);
    },
    sequenceOf(kind: Kind, id: string): number | undefined {
      const row = one("select seq from objects where id = ? and kind = ?", id, kind);
      return row === undefined ? undefined : Number(row["seq"]);
    },
    /** Newest first; one more than the limit where there is more. */
    page<K extends Kind>(query: PageQuery<K>): Kinds[K][] {
      const { sql, values } = pageStatement(query);
      return all(sql, ...values).map((row) => toStored<Kinds[K]>(row).body);
    },
    /** The id of the newest event about an object. */
    latestEventAbout(object: string): string | undefined {
      const row = one(
        "select id from objects where kind = 'event' and body ->> '$.data.object.id' = ? order by seq desc limit 1",
        object,
      );
      return row === undefined ? undefined : String(row["id"]);
    },
    /** Objects ever made. */
    objectsMade(): number {
      return Number(one("select seq from sqlite_sequence where name = 'objects'")?.["seq"] ?? 0);
    },
    counts(): Record<string, number> {
      const rows = all("select kind, count(*) as number from objects group by kind");
      return Object.fromEntries(rows.map((row) => [String(row["kind"]), Number(row["number"])]));
    },
    /** Sums of the balance transactions, by currency and type. */
    sums(): { currency: string; type: string; amount: number; net: number }[] {
      return all(
        `select body ->> '$.currency' as currency, body ->> '$.type' as type,
           sum(body ->> '$.amount') as amount, sum(body ->> '$.net') as net
         from objects where kind = 'balance_transaction' group by 1, 2`,
      ).map((row) => ({
        currency: String(row["currency"]),
        type: String(row["type"]),
        amount: Number(row["amount"]),
        net: Number(row["net"]),
      }));
    },
  };
}

function toStored<T>(row: Row): Stored<T> {
  return { body: JSON.parse(String(row["body"])), hidden: JSON.parse(String(row["hidden"])) };
}

function pageStatement(query: PageQuery) {
  const parts = ["kind = ?"];
  const values: SQLInputValue[] = [query.kind];
  const where = (part: string, ...more: SQLInputValue[]) => {
    parts.push(part);
    values.push(...more);
  };
  for (const [name, value] of Object.entries(query.filter))
    where(`body ->> '$.${name}' = ?`, value);
  const operators = { gt: ">", gte: ">=", lt: "<", lte: "<=" } as const;
  for (const [name, operator] of Object.entries(operators)) {
    const bound = query.created[name as keyof CreatedRange];
    if (bound !== undefined) where(`created ${operator} ?`, bound);
  }
  if (query.types.length > 0) {
    where(`(${query.types.map(() => "body ->> '$.type' glob ?").join(" or ")})`, ...query.types);
  }
  if (query.delivered !== undefined) {
    const not = query.delivered ? "not " : "";
    where(`${not}exists (select 1 from deliveries where event = objects.id and forgery = '')`);
  }
  if (query.after !== undefined) where("seq < ?", query.after);
  if (query.before !== undefined) where("seq > ?", query.before);
  const order = query.before === undefined ? "desc" : "asc";
  const sql = `select body, hidden from objects where ${parts.join(" and ")} order by seq ${order} limit ?`;
  return { sql, values: [...values, query.limit] };
}

function deliveryTable(run: Run, one: One, all: All) {
  return {
    addDelivery(delivery: Omit<Delivery, "id" | "attempts">) {
      run(
        "insert into deliveries (event, endpoint, attempts, due_ms, forgery) values (?, ?, 0, ?, ?)",
        delivery.event,
        delivery.endpoint,
        delivery.dueMs,
        delivery.forgery,
      );
    },
    nextDeliveries(limit: number): Delivery[] {
      return all("select * from deliveries order by due_ms, id limit ?", limit).map(toDelivery);
    },
    deliveriesOf(event: string): Delivery[] {
      return all("select * from deliveries where event = ? order by id", event).map(toDelivery);
    },
    postpone(id: number, attempts: number, dueMs: number) {
      run("update deliveries set attempts = ?, due_ms = ? where id = ?", attempts, dueMs, id);
    },
    removeDelivery(id: number) {
      run("delete from deliveries where id = ?", id);
    },
    removeDeliveriesTo(endpoint: string) {
      run("delete from deliveries where endpoint = ?", endpoint);
    },
    hasDeliveries(number: number): boolean {
      return one("select 1 from deliveries limit 1 offset ?", number - 1) !== undefined;
    },
    countDeliveries(): number {
      return Number(one("select count(*) as number from deliveries")?.["number"]);
    },
    addTask(task: Omit<Task, "id">) {
      run(
        "insert into tasks (kind, object, due_ms) values (?, ?, ?)",
        task.kind,
        task.object,
        task.dueMs,
      );
    },
    nextTask(): Task | undefined {
      const row = one("select * from tasks order by due_ms, id limit 1");
      if (row === undefined) return undefined;
      return {
        id: Number(row["id"]),
        kind: String(row["kind"]),
        object: String(row["object"]),
        dueMs: Number(row["due_ms"]),
      };
    },
    removeTasks(object: string) {
      run("delete from tasks where object = ?", object);
    },
  };
}

function toDelivery(row: Row): Delivery {
  return {
    id: Number(row["id"]),
    event: String(row["event"]),
    endpoint: String(row["endpoint"]),
    attempts: Number(row["attempts"]),
    dueMs: Number(row["due_ms"]),
    forgery: String(row["forgery"]),
  };
}

function answerTable(run: Run, one: One) {
  return {
    keepAnswer(account: string, key: string, answer: KeptAnswer, nowMs: number) {
      run(
        "insert into answers values (?, ?, ?, ?, ?, ?, ?, ?)",
        account,
        key,
        answer.path,
        answer.fingerprint,
        answer.status,
        answer.body,
        answer.requestId,
        nowMs,
      );
    },
    findAnswer(account: string, key: string): KeptAnswer | undefined {
      const row = one("select * from answers where account = ? and key = ?", account, key);
      if (row === undefined) return undefined;
      return {
        path: String(row["path"]),
        fingerprint: String(row["fingerprint"]),
        status: Number(row["status"]),
        body: String(row["body"]),
        requestId: String(row["request_id"]),
      };
    },
    forgetAnswers(beforeMs: number) {
      run("delete from answers where kept_ms < ?", beforeMs);
    },
  };
}
