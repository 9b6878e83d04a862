/**
 * What one process takes, whatever service it is. The edge allows more of each, so that it is the service that refuses
 * and says why. docs/limits.md has these numbers; a test holds the page to them.
 */
export const runtimeLimits = {
  /** Unary calls whose handler runs. */
  calls: 4_096,
  /** Unary calls of one subject, from their headers to their end. */
  callsOfSubject: 1_024,
  /** Streams of one subject; STREAMS_PER_SUBJECT_MAX says otherwise. */
  streamsOfSubject: 32,
  /** Watches of health, which need no token: in all, and from one address. */
  healthWatches: 512,
  healthWatchesOfAddress: 16,
  /** Streams of reflection: in all, and of one subject. */
  reflections: 128,
  reflectionsOfSubject: 16,
  /** Bytes of requests that are on their way in or being answered, of all methods and of one. */
  requestBytes: 128 << 20,
  /** Four requests of a method's greatest size, and at least this. */
  requestBytesOfMethod: 32 << 20,
  /** What a request counts for before its first byte is there. */
  requestBytesMin: 1_024,
  /** How long a request of a mebibyte may take to arrive, and what each further mebibyte adds, in milliseconds. */
  bodyMs: 20_000,
  bodyMsPerMebibyte: 2_000,
  /** Streams of one HTTP/2 connection, and megabytes that it may hold. */
  streamsOfConnection: 1_000,
  megabytesOfConnection: 128,
} as const;
