import { Places } from "#common/places.ts";
import type { MethodPlan } from "../method-plan.ts";
import type { HeaderReader } from "../rpc-call.ts";
import { BytesBudget, type BytesClaim } from "./bytes-budget.ts";
import { KeyedPlaces } from "./keyed-places.ts";
import { limitExceeded } from "./limit-exceeded.ts";
import { runtimeLimits } from "./runtime-limits.ts";

/** Gives back what was taken. Safe to repeat. */
export type Leave = () => void;

/** How many of what one process takes, both mounts together. Everything here throws LIMIT_EXCEEDED. */
export interface Admission {
  /** A call of a subject, from its headers to its end. */
  enter(plan: MethodPlan, subject: string): Leave;
  /** A unary call whose request is there. */
  run(): Leave;
  /** A request's bytes; `announced` by its headers, 0 where they say nothing. */
  bytes(plan: MethodPlan, announced: number): BytesClaim;
  /** A watch of health, which has no subject; undefined for an address that nobody told. */
  watchHealth(address: string | undefined): Leave;
  /** A stream of reflection. */
  reflect(subject: string): Leave;
}

export interface AdmissionOptions {
  /** Default: the runtime's. */
  readonly streamsOfSubjectMax?: number | undefined;
}

export function createAdmission({ streamsOfSubjectMax }: AdmissionOptions = {}): Admission {
  const limits = runtimeLimits;
  const calls = new KeyedPlaces({
    ofKeyMax: limits.callsOfSubject,
    onFull: (limit) => limitExceeded(limit, "calls of one subject at once"),
  });
  const streams = new KeyedPlaces({
    ofKeyMax: streamsOfSubjectMax ?? limits.streamsOfSubject,
    onFull: (limit) => limitExceeded(limit, "streams of one subject at once"),
  });
  const running = new Places(limits.calls, () =>
    limitExceeded(limits.calls, "calls of one process at once"),
  );
  const budget = new BytesBudget({
    inAllMax: limits.requestBytes,
    requestMin: limits.requestBytesMin,
  });
  const watches = new KeyedPlaces({
    ofKeyMax: limits.healthWatchesOfAddress,
    inAllMax: limits.healthWatches,
    onFull: (limit, isOfAddress) =>
      limitExceeded(limit, `watches of health at once${isOfAddress ? " from one address" : ""}`),
  });
  const reflections = new KeyedPlaces({
    ofKeyMax: limits.reflectionsOfSubject,
    inAllMax: limits.reflections,
    onFull: (limit, isOfSubject) =>
      limitExceeded(limit, `streams of reflection at once${isOfSubject ? " of one subject" : ""}`),
  });
  return {
    enter: ({ method }, subject) =>
      method.methodKind === "unary" ? calls.take(subject) : streams.take(subject),
    run: () => running.take(),
    bytes: (plan, announced) => budget.claim(methodBytes(plan), announced),
    watchHealth: (address) => watches.take(address ?? ""),
    reflect: (subject) => reflections.take(subject),
  };
}

function methodBytes({ path, requestBytesMax }: MethodPlan) {
  return { path, bytesMax: Math.max(runtimeLimits.requestBytesOfMethod, 4 * requestBytesMax) };
}

const encodings = ["content-encoding", "connect-content-encoding", "grpc-encoding"];

/** How many bytes a request's headers say that it has. What is compressed may become as many as its method takes. */
export function announcedBytes({ requestBytesMax }: MethodPlan, header: HeaderReader): number {
  const isCompressed = encodings.some((name) => (header(name) ?? "identity") !== "identity");
  if (isCompressed) return requestBytesMax;
  const length = Number(header("content-length") ?? 0);
  // What is more is refused by its size.
  return Number.isSafeInteger(length) ? Math.min(Math.max(0, length), requestBytesMax) : 0;
}

/** How long a request of a method may take to arrive, in milliseconds. */
export function bodyMsMax({ requestBytesMax }: MethodPlan): number {
  const { bodyMs, bodyMsPerMebibyte } = runtimeLimits;
  return bodyMs + bodyMsPerMebibyte * (Math.ceil(requestBytesMax / (1 << 20)) - 1);
}
