/** The codes of {@link EmbeddedLedgerError}. */
export type EmbeddedLedgerErrorCode =
  /** An event carries the `imported` flag, which this engine refuses; nothing was written. */
  | "ERR_EMBEDDED_IMPORTED_REFUSED"
  /** The file belongs to another cluster id. */
  | "ERR_EMBEDDED_CLUSTER_MISMATCH"
  /** The file was written by a newer version of this engine. */
  | "ERR_EMBEDDED_SCHEMA_TOO_NEW"
  /** The file is no ledger of this engine, or it is damaged. */
  | "ERR_EMBEDDED_CORRUPT"
  /** The file, or the folder that must take its log, cannot be written. */
  | "ERR_EMBEDDED_READ_ONLY"
  /** The file cannot be opened or created. */
  | "ERR_EMBEDDED_CANNOT_OPEN"
  /** There is no ledger at the path, and the caller does not want a new one. */
  | "ERR_EMBEDDED_MISSING"
  /** Another process held the file for longer than the engine waits. */
  | "ERR_EMBEDDED_BUSY"
  /** No space is left. Nothing of the request is stored. */
  | "ERR_EMBEDDED_DISK_FULL"
  /** Reading or writing failed. The outcome is unknown: repeat the request with the same ids. */
  | "ERR_EMBEDDED_IO"
  /** The engine's thread ended. The outcome is unknown: repeat the request with the same ids. */
  | "ERR_EMBEDDED_STOPPED";

/** Thrown for what only the embedded engine knows; the rest is tigerbeetle-node's own errors. */
export class EmbeddedLedgerError extends Error {
  readonly code: EmbeddedLedgerErrorCode;

  constructor(code: EmbeddedLedgerErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "EmbeddedLedgerError";
    this.code = code;
  }
}

/** An error as it crosses from the engine's thread. */
export type PlainError = { readonly code: EmbeddedLedgerErrorCode; readonly message: string };

/** An error in the form in which it crosses threads: the class of an Error does not. */
export function plainError<E extends PlainError | Error>(error: E): PlainError | E {
  if (!(error instanceof EmbeddedLedgerError)) return error;
  return { code: error.code, message: error.message };
}

const SQLITE_PRIMARY: ReadonlyMap<number, EmbeddedLedgerErrorCode> = new Map([
  [3, "ERR_EMBEDDED_READ_ONLY"], // SQLITE_PERM
  [5, "ERR_EMBEDDED_BUSY"],
  [6, "ERR_EMBEDDED_BUSY"], // SQLITE_LOCKED
  [8, "ERR_EMBEDDED_READ_ONLY"],
  [10, "ERR_EMBEDDED_IO"],
  [11, "ERR_EMBEDDED_CORRUPT"],
  [13, "ERR_EMBEDDED_DISK_FULL"],
  [14, "ERR_EMBEDDED_CANNOT_OPEN"],
  [26, "ERR_EMBEDDED_CORRUPT"], // SQLITE_NOTADB
]);

/** Turns what SQLite threw into a typed error; anything else is a bug and stays as it is. */
export function typedError(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || !("errcode" in error)) return error;
  const primary = Number(error.errcode) & 0xff;
  const code = SQLITE_PRIMARY.get(primary) ?? "ERR_EMBEDDED_IO";
  return new EmbeddedLedgerError(code, `The embedded ledger ${path}: ${error.message}`, {
    cause: error,
  });
}
