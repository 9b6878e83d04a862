import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";

export interface ListenOptions {
  readonly databaseUrl: string;
  readonly channel: string;
  readonly applicationName: string;
  /** Called with the payload of every notification. */
  readonly onNotification: (payload: string) => void;
  /** Called after every (re)connect: what was told before that may have been missed. */
  readonly onConnected: () => void;
  /** Called when the connection is lost or cannot be made. */
  readonly onLost: (error: unknown) => void;
}

/** How long a server may take to say goodbye; one that stands still says nothing. */
const closeMsMax = 1_000;
const reconnectMsMin = 100;
const reconnectMsMax = 5_000;

/** Listens on a connection of its own, and reconnects until closed. `channel` is a plain identifier. */
export function listen(options: ListenOptions): { close(): Promise<void> } {
  let client: pg.Client | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;
  let waitMs = reconnectMsMin;

  const connect = async () => {
    const attempt = new pg.Client({
      connectionString: options.databaseUrl,
      application_name: options.applicationName,
      connectionTimeoutMillis: 3_000,
      query_timeout: 3_000,
      keepAlive: true,
    });
    client = attempt;
    let isLost = false;
    const lose = (error: unknown) => {
      if (isLost) return;
      isLost = true;
      attempt.end().catch(() => {});
      if (isClosed) return;
      options.onLost(error);
      timer = setTimeout(() => void connect(), waitMs * (0.5 + Math.random() / 2));
      waitMs = Math.min(waitMs * 2, reconnectMsMax);
    };
    attempt.on("error", lose);
    attempt.on("end", () => lose(new Error("the connection ended")));
    attempt.on("notification", ({ payload }) => options.onNotification(payload ?? ""));
    try {
      await attempt.connect();
      await attempt.query(`listen ${options.channel}`);
      waitMs = reconnectMsMin;
      options.onConnected();
    } catch (error) {
      lose(error);
    }
  };
  void connect();

  return {
    async close() {
      isClosed = true;
      clearTimeout(timer);
      const late = new AbortController();
      const ended = client?.end().catch(() => {});
      const given = sleep(closeMsMax, undefined, { signal: late.signal }).catch(() => {});
      await Promise.race([ended, given]);
      late.abort();
    },
  };
}
