import type { ErrorMap } from "#common/rpc/errors.ts";
import { type IntentErrorKind, intentErrors } from "#common/rpc/intent-errors.ts";

/** Every kind of DomainError that leaves this service. */
export type AttestorErrorKind = IntentErrorKind;

/** What each becomes on the wire. */
export const attestorErrors = intentErrors satisfies ErrorMap<AttestorErrorKind>;
