import { type Logger, pino } from "pino";
import { PinoPretty } from "pino-pretty";
import { lossyStdout } from "./lossy-output.ts";

export type { Logger } from "pino";

export const logLevels = ["trace", "debug", "info", "warn", "error", "fatal"] as const;
export type LogLevel = (typeof logLevels)[number];
/** `auto`: human on a terminal, json elsewhere. */
export type LogFormat = "json" | "human" | "auto";

/** Keys whose values never reach a log, at the top of a line or one or two levels down. */
const secretKeys = [
  "authorization",
  "Authorization",
  "token",
  "jwt",
  "password",
  "secret",
  "privateKey",
  "clientSecret",
  "connectionString",
  "databaseUrl",
  "DATABASE_URL",
  "ATTESTOR_PRIVATE_KEY",
  "GATEWAY_OPERATOR_PRIVATE_KEY",
  "STRIPE_SECRET_KEY",
  "STRIPE_WEBHOOK_SECRET",
];

const redactedPaths = secretKeys.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]);

export interface LoggerOptions {
  /** Default `auto`: human on a terminal, json elsewhere. */
  readonly format?: LogFormat;
  /** Where lines go; default is standard output. */
  readonly destination?: NodeJS.WritableStream;
}

/** A logger that writes lines of JSON, or readable ones on a terminal. */
export function createLogger(
  name: string,
  level: LogLevel | "silent",
  options: LoggerOptions = {},
): Logger {
  const settings = {
    name,
    level,
    timestamp: pino.stdTimeFunctions.isoTime,
    base: {},
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: redactedPaths, censor: "[redacted]" },
  };
  const destination = options.destination ?? lossyStdout();
  const format = options.format ?? "auto";
  if (format === "human" || (format === "auto" && isTerminal(destination))) {
    // In this process and synchronous: a worker thread would lose the last lines, the ones that explain an exit.
    return pino(
      settings,
      PinoPretty({ destination, sync: true, ignore: "name", messageFormat: "{name}: {msg}" }),
    );
  }
  return pino(settings, destination);
}

function isTerminal(stream: NodeJS.WritableStream): boolean {
  return "isTTY" in stream && stream.isTTY === true;
}
