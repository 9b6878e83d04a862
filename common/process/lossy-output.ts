import { fstatSync, writeSync } from "node:fs";
import { Writable } from "node:stream";
import { countFromZero, getMeter } from "./metrics.ts";

/** Writes some bytes, as `fs.writeSync` does: how many, or it throws. */
export type WriteBytes = (bytes: Uint8Array) => number;

/** What is told, as a line of its own, once lines can be written again. */
type DescribeLoss = (lines: number) => string;

export interface LossyOutputOptions {
  readonly writeBytes: WriteBytes;
  readonly onDrop: () => void;
  readonly describeLoss: DescribeLoss;
  /** How often it looks whether the loss can be told, in milliseconds; a process may have nothing else to say for hours. */
  readonly againMs?: number;
}

/**
 * An output that never fails its process: a line that cannot be written, on a full disk or into a pipe that nobody
 * reads, is dropped and counted, and one line says how many there were as soon as there is space again.
 */
export class LossyOutput extends Writable {
  readonly #writeBytes: WriteBytes;
  readonly #onDrop: () => void;
  readonly #describeLoss: DescribeLoss;
  readonly #againMs: number;
  #again: NodeJS.Timeout | undefined;
  #dropped = 0;
  /** A line was cut in its middle: the next one must begin on its own. */
  #isCut = false;

  constructor(options: LossyOutputOptions) {
    super({ decodeStrings: true });
    this.#writeBytes = options.writeBytes;
    this.#onDrop = options.onDrop;
    this.#describeLoss = options.describeLoss;
    this.#againMs = options.againMs ?? 1_000;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (!this.#tellLoss() || !this.#tryWrite(chunk)) {
      this.#dropped += 1;
      this.#onDrop();
      this.#tellLater();
    }
    done();
  }

  #tellLater(): void {
    this.#again ??= setTimeout(() => {
      this.#again = undefined;
      if (!this.#tellLoss()) this.#tellLater();
    }, this.#againMs).unref();
  }

  /** False while not even that can be written. */
  #tellLoss(): boolean {
    if (this.#dropped === 0) return true;
    const text = `${this.#isCut ? "\n" : ""}${this.#describeLoss(this.#dropped)}\n`;
    if (!this.#tryWrite(Buffer.from(text))) return false;
    this.#dropped = 0;
    return true;
  }

  #tryWrite(bytes: Uint8Array): boolean {
    let written = 0;
    try {
      while (written < bytes.length) {
        const count = this.#writeBytes(bytes.subarray(written));
        if (count === 0) break;
        written += count;
      }
    } catch {
      // Whatever the reason, a log line is not worth a process; the count tells of it.
    }
    if (written === bytes.length) {
      this.#isCut = false;
      return true;
    }
    if (written > 0) this.#isCut = true;
    return false;
  }
}

const lossAsJson: DescribeLoss = (lines) =>
  JSON.stringify({
    level: "warn",
    time: new Date().toISOString(),
    lines,
    msg: "log lines were dropped; they can be written again",
  });

/**
 * Standard output. Into a file lines are written at once, and dropped when that fails; a pipe or a terminal is Node's
 * own to write, for it may be full for a moment only, and there a reader that has gone is no end either.
 */
export function lossyStdout(describeLoss: DescribeLoss = lossAsJson): NodeJS.WritableStream {
  const dropped = countFromZero(
    getMeter("sovr.process"),
    "log_lines_dropped",
    "Log lines that could not be written: the disk was full, or nobody read them any more.",
  );
  if (!isFile(process.stdout.fd)) {
    if (process.stdout.listenerCount("error") === 0) {
      process.stdout.on("error", () => dropped.add(1));
    }
    return process.stdout;
  }
  return new LossyOutput({
    writeBytes: (bytes) => writeSync(process.stdout.fd, bytes),
    onDrop: () => dropped.add(1),
    describeLoss,
  });
}

function isFile(fd: number): boolean {
  try {
    return fstatSync(fd).isFile();
  } catch {
    return false;
  }
}
