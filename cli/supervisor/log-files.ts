import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
} from "node:fs";
import { join } from "node:path";
import { isDiskFull } from "../command/problem.ts";
import type { Settings } from "../state/settings.ts";

const tailBytes = 16_384;
/** The advice stands at the end: what is wrong with a ledger takes some 500 characters to say. */
const textMax = 2_000;

export function logFile(settings: Settings, part: string): string {
  return join(settings.state, "logs", `${part}.log`);
}

/** Begins a new log and keeps the one before as `<part>.log.1`: a mesh that runs often fills no disk. */
export function rotateLog(settings: Settings, part: string): void {
  mkdirSync(join(settings.state, "logs"), { recursive: true, mode: 0o700 });
  const file = logFile(settings, part);
  if (existsSync(file)) renameSync(file, `${file}.1`);
}

/** Opens a part's log to append to, or says to write none: a part is worth more than its log, which a full disk may refuse. */
export function openLog(settings: Settings, part: string): number | "ignore" {
  try {
    return openSync(logFile(settings, part), "a", 0o600);
  } catch (error) {
    if (isDiskFull(error)) return "ignore";
    throw error;
  }
}

/** The end of a log, as text. */
export function logTail(file: string): string {
  if (!existsSync(file)) return "";
  const fd = openSync(file, "r");
  try {
    const { size } = fstatSync(fd);
    const buffer = Buffer.alloc(Math.min(size, tailBytes));
    readSync(fd, buffer, 0, buffer.length, size - buffer.length);
    return buffer.toString("utf8");
  } finally {
    closeSync(fd);
  }
}

/** What a log ends with: the message of its last line, or of the error that ended a program. */
export function lastMessage(file: string): string {
  const lines = logTail(file)
    .split("\n")
    .filter((line) => line.trim() !== "");
  // Node prints an uncaught error with its stack after it and its own version last.
  const last = lines.at(-1);
  const line =
    last !== undefined && /^(Node\.js v|\s+at |\})/.test(last)
      ? (lines.findLast((text) => /^[A-Za-z]*Error\b/.test(text)) ?? last)
      : last;
  if (line === undefined) return "it wrote no log";
  try {
    const entry = JSON.parse(line) as { msg?: string; err?: { message?: string } };
    return [entry.msg, entry.err?.message].filter((text) => text !== undefined).join(": ") || line;
  } catch {
    return line.trim().slice(0, textMax);
  }
}
