import { explain, type Problem } from "./problem.ts";
import { untilVisible, watchHidden } from "./visibility.ts";

/** Where a stream that is kept open stands. */
export type Connection = "connecting" | "live" | "reconnecting";

export interface StreamOptions<Message> {
  /** Opens the stream anew, from where the last one ended. */
  readonly open: (signal: AbortSignal) => AsyncIterable<Message>;
  /** Is told every message. What it throws ends this stream, and the next is opened. */
  readonly onMessage: (message: Message) => void;
  /** Is told how the connection stands; with a problem when a stream ended by an error. */
  readonly onConnection: (connection: Connection, problem: Problem | undefined) => void;
  /** A stream that says nothing for so long is given up; undefined trusts a quiet one. */
  readonly silenceMsMax?: number;
  /** Waits until the next attempt; tests put their own clock here. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** The first pause and the longest, in milliseconds. */
export const backoffMs = { first: 200, last: 5_000 };

/** Keeps a stream open until `signal` fires: opens it again whenever it ends, ever later while it does not open. */
export async function followStream<Message>(
  options: StreamOptions<Message>,
  signal: AbortSignal,
): Promise<void> {
  const { onConnection, wait = pause } = options;
  let pauseMs = backoffMs.first;
  onConnection("connecting", undefined);
  while (!signal.aborted) {
    await untilVisible(signal);
    if (signal.aborted) return;
    let problem: Problem | undefined;
    try {
      await readOnce(options, signal, () => {
        pauseMs = backoffMs.first;
        onConnection("live", undefined);
      });
    } catch (error) {
      problem = explain(error);
    }
    if (signal.aborted) return;
    onConnection("reconnecting", problem);
    // Not all pages at once, after a restart.
    await wait(pauseMs * (0.75 + Math.random() / 2), signal);
    pauseMs = Math.min(pauseMs * 2, backoffMs.last);
  }
}

async function readOnce<Message>(
  { open, onMessage, silenceMsMax }: StreamOptions<Message>,
  signal: AbortSignal,
  onFirst: () => void,
): Promise<void> {
  const ended = new AbortController();
  const silence = watchSilence(silenceMsMax, () => ended.abort());
  const unwatch = watchHidden(() => ended.abort());
  let first = true;
  try {
    for await (const message of open(AbortSignal.any([signal, ended.signal]))) {
      silence.heard();
      onMessage(message);
      if (first) onFirst();
      first = false;
    }
  } finally {
    silence.stop();
    unwatch();
    ended.abort(); // leaving the loop alone would leave the call open
  }
}

function watchSilence(ms: number | undefined, onSilence: () => void) {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const heard = () => {
    clearTimeout(timer);
    if (ms !== undefined) timer = setTimeout(onSilence, ms);
  };
  heard();
  return { heard, stop: () => clearTimeout(timer) };
}

/** Waits, or less: until the signal fires, or the browser is online again. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      removeEventListener("online", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
    addEventListener("online", done);
  });
}
