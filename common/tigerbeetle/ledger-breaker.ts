import { type Breaker, type BreakerOptions, createBreaker } from "#common/breaker.ts";
import type { Logger } from "#common/process/logger.ts";
import { getMeter } from "#common/process/metrics.ts";
import { ledgerUnavailable } from "./ledger-away.ts";

/** When callers may come back to a silent ledger, in milliseconds; it is probed more often. */
const retryAfterMs = 500;

/** The breaker before a ledger: its clients never give up, so somebody else must tell that it is silent. */
export interface LedgerBreaker extends Pick<Breaker, "isOpen" | "onChange" | "close"> {
  /**
   * A line for one client, each with a cell of its own: a client answers in order, so one may be held up by what others
   * are not. `probe`: a request that changes nothing, and that is held up by whatever holds up the line's others.
   */
  line(index: number, probe: () => Promise<unknown>): LedgerLine;
  /** Throws LEDGER_UNAVAILABLE while the ledger is silent, on any line of the process. */
  requireAnswers(): void;
}

/** How requests go out to a ledger that may be silent. */
export interface LedgerLine {
  /** Makes a request, and waits for its end however long that takes: it may be a write, and what it did must be heard. */
  send<T>(request: () => Promise<T>): Promise<T>;
  /** Makes a request that only reads: LEDGER_UNAVAILABLE if the ledger is silent, or falls silent meanwhile. */
  read<T>(request: () => Promise<T>): Promise<T>;
  /** As of the breaker. */
  requireAnswers(): void;
  /** Calls back when the ledger has fallen silent, with the refusal for whoever waits to ask it something. */
  onSilence(listener: (refusal: Error) => void): void;
}

/** No breaker: every request waits for as long as it may. */
export const unwatchedLine: LedgerLine = {
  send: (request) => request(),
  read: (request) => request(),
  requireAnswers: () => undefined,
  onSilence: () => undefined,
};

/** Closed until a line's requests go unanswered, and closed again as soon as they, or a probe, are answered. */
export function createLedgerBreaker(options: BreakerOptions): LedgerBreaker {
  const breaker = createBreaker(options);
  const reads = new Set<(refusal: Error) => void>();
  const onSilence: LedgerLine["onSilence"] = (listener) =>
    breaker.onChange((isOpen) => {
      if (isOpen) listener(ledgerUnavailable(retryAfterMs));
    });
  onSilence((refusal) => {
    for (const refuse of reads) refuse(refusal);
  });
  const requireAnswers = () => {
    if (breaker.isOpen()) throw ledgerUnavailable(retryAfterMs);
  };
  const unlessSilent = <T>(answer: Promise<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      reads.add(reject);
      answer.then(resolve, reject).finally(() => reads.delete(reject));
    });
  return {
    line(index, probe) {
      const line = breaker.line(index, () => line.watch(probe));
      return {
        send: (request) => line.watch(request),
        async read(request) {
          requireAnswers();
          return unlessSilent(line.watch(request));
        },
        requireAnswers,
        onSilence,
      };
    },
    requireAnswers,
    isOpen: breaker.isOpen,
    onChange: breaker.onChange,
    close: breaker.close,
  };
}

/** Writes into the log, and shows in the metrics, what a breaker notices. Once a process. */
export function observeLedgerBreaker({ isOpen, onChange }: LedgerBreaker, logger: Logger): void {
  onChange((open) => {
    if (open) logger.warn("the ledger answers nothing: calls are refused until it does");
    else logger.info("the ledger answers again");
  });
  getMeter("sovr.tigerbeetle")
    .createObservableGauge("ledger_breaker_open", {
      description: "1 while the ledger answers nothing: calls that would ask it are refused.",
    })
    .addCallback((result) => result.observe(isOpen() ? 1 : 0));
}
