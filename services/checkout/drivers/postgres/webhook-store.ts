import { type Pool, withRecords } from "#common/postgres/pool.ts";
import type {
  AttemptEnd,
  StoredWebhook,
  WebhookBacklog,
  WebhookPage,
  WebhookState,
  WebhookStore,
} from "../../webhooks/ports.ts";

/** The store of Stripe's events on PostgreSQL. `onSuccess` hears of every statement that was answered. */
export function createWebhookStore(pool: Pool, onSuccess: () => void): WebhookStore {
  const query = async <Row extends object>(name: string, text: string, values: unknown[] = []) => {
    const result = await withRecords(() =>
      pool.query<Row>({ name: `checkout-webhook-${name}`, text, values }),
    );
    onSuccess();
    return result;
  };
  return {
    async insert(events) {
      const column = <Key extends keyof (typeof events)[number]>(key: Key) =>
        events.map((event) => event[key]);
      const createTimes = events.map(({ createTimeMs }) => new Date(createTimeMs));
      const { rows } = await query<{ event_id: string }>("insert", insertEvents, [
        column("eventId"),
        column("type"),
        column("paymentIntentId"),
        createTimes,
      ]);
      return rows.map(({ event_id }) => event_id);
    },
    async claim(limit, leaseMs) {
      const { rows } = await query<EventRow>("claim", claimEvents, [limit, leaseMs]);
      return rows.map(parseEvent);
    },
    async finish({ eventId, attempts }, end) {
      const { lastError, delayMs } = {
        lastError: "",
        delayMs: null,
        ...end,
      } satisfies AttemptFields;
      await query("finish", finishAttempt, [eventId, attempts, end.state, lastError, delayMs]);
    },
    async release({ eventId, attempts }) {
      await query("release", releaseAttempt, [eventId, attempts]);
    },
    async list({ state }, after, limit) {
      const { rows } = await withRecords(() =>
        pool.query<EventRow>(listQuery(state, after, limit)),
      );
      onSuccess();
      return pageOf(rows, limit);
    },
    async replay(eventId) {
      const { rows } = await query<EventRow>("replay", replayEvent, [eventId]);
      return rows[0] === undefined ? undefined : parseEvent(rows[0]);
    },
    async readBacklog() {
      const { rows } = await query<BacklogRow>("backlog", readBacklog);
      return parseBacklog(rows[0]);
    },
    async claimSweep(holdMs) {
      const { rows } = await query<{ swept_to: Date }>("claim-sweep", claimSweep, [holdMs]);
      return rows[0]?.swept_to.getTime();
    },
    async advanceSweep(toMs) {
      await query("advance-sweep", advanceSweep, [new Date(toMs)]);
    },
  };
}

interface AttemptFields {
  readonly state: AttemptEnd["state"];
  readonly lastError: string;
  readonly delayMs: number | null;
}

// In the order of ids, so that two that store the same cannot wait for each other.
const insertEvents = `
  insert into checkout_webhook_event (event_id, type, payment_intent_id, create_time)
  select event_id, type, nullif(payment_intent_id, ''), create_time
  from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])
    as told (event_id, type, payment_intent_id, create_time)
  order by event_id
  on conflict do nothing
  returning event_id`;

interface EventRow {
  readonly event_id: string;
  readonly type: string;
  readonly payment_intent_id: string | null;
  readonly state: WebhookState;
  readonly attempts: number;
  readonly last_error: string;
  readonly create_time: Date;
  readonly receive_time: Date;
  readonly process_time: Date | null;
  /** Microseconds since 1970, which Date cannot hold. */
  readonly receive_micros: string;
}

const eventColumns = `
  event_id, type, payment_intent_id, state, attempts, last_error, create_time, receive_time, process_time,
  (extract(epoch from receive_time) * 1000000)::bigint as receive_micros`;

const claimEvents = `
  with due as materialized (
    select event_id from checkout_webhook_event
    where state = 'PENDING' and next_attempt_time <= now()
    order by next_attempt_time limit $1 for update skip locked)
  update checkout_webhook_event
  set attempts = attempts + 1, next_attempt_time = now() + $2 * interval '1 millisecond'
  where event_id in (select event_id from due)
  returning ${eventColumns}`;

const finishAttempt = `
  update checkout_webhook_event
  set state = $3, last_error = $4, process_time = now(),
    next_attempt_time = now() + $5 * interval '1 millisecond'
  where event_id = $1 and attempts = $2 and state = 'PENDING'`;

const releaseAttempt = `
  update checkout_webhook_event
  set attempts = attempts - 1, next_attempt_time = now()
  where event_id = $1 and attempts = $2 and state = 'PENDING'`;

const replayEvent = `
  update checkout_webhook_event
  set state = 'PENDING', attempts = 0, last_error = '', next_attempt_time = now()
  where event_id = $1
  returning ${eventColumns}`;

function parseEvent(row: EventRow): StoredWebhook {
  return {
    eventId: row.event_id,
    type: row.type,
    paymentIntentId: row.payment_intent_id ?? "",
    state: row.state,
    attempts: row.attempts,
    lastError: row.last_error,
    createTimeMs: row.create_time.getTime(),
    receiveTimeMs: row.receive_time.getTime(),
    processTimeMs: row.process_time?.getTime(),
  };
}

/** One more than the page holds tells whether there is another. */
function listQuery(state: WebhookState | undefined, after: string | undefined, limit: number) {
  const values: unknown[] = [limit + 1];
  const where: string[] = [];
  if (state !== undefined) where.push(`state = $${values.push(state)}`);
  if (after !== undefined) {
    const [, micros, eventId] = /^([0-9]{1,16}):([A-Za-z0-9_]{1,255})$/.exec(after) ?? [];
    if (micros === undefined) throw new RangeError("a position that no page gave");
    where.push(`(receive_time, event_id) <
      (to_timestamp(0) + $${values.push(micros)} * interval '1 microsecond', $${values.push(eventId)})`);
  }
  const condition = where.length === 0 ? "" : `where ${where.join(" and ")}`;
  const text = `select ${eventColumns} from checkout_webhook_event ${condition}
    order by receive_time desc, event_id desc limit $1`;
  return { text, values };
}

function pageOf(rows: readonly EventRow[], limit: number): WebhookPage {
  const page = rows.slice(0, limit);
  const last = rows.length > limit ? page.at(-1) : undefined;
  return {
    events: page.map(parseEvent),
    next: last === undefined ? undefined : `${last.receive_micros}:${last.event_id}`,
  };
}

interface BacklogRow {
  /** bigint and numeric, which `pg` hands out as text. */
  readonly pending: string;
  readonly dead: string;
  readonly oldest_ms: string | null;
}

const readBacklog = `
  select
    (select count(*) from checkout_webhook_event where state = 'PENDING') as pending,
    (select count(*) from checkout_webhook_event where state = 'DEAD') as dead,
    (select extract(epoch from clock_timestamp() - min(receive_time)) * 1000
      from checkout_webhook_event where state = 'PENDING') as oldest_ms`;

function parseBacklog(row: BacklogRow | undefined): WebhookBacklog {
  return {
    pending: Number(row?.pending ?? 0),
    dead: Number(row?.dead ?? 0),
    oldestPendingMs: Math.max(0, Number(row?.oldest_ms ?? 0)),
  };
}

// Before the first start nobody has bought anything here; an hour covers clocks that differ.
const claimSweep = `
  insert into checkout_webhook_sweep as sweep (swept_to, held_until)
  values (now() - interval '1 hour', now() + $1 * interval '1 millisecond')
  on conflict (only_row) do update set held_until = excluded.held_until
  where sweep.held_until <= now()
  returning swept_to`;

const advanceSweep = `
  update checkout_webhook_sweep set swept_to = greatest(swept_to, $1::timestamptz)`;
