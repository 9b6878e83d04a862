/**
 * What the edge allows. The template and what is generated into it enforce these numbers, the replies tell them, and
 * docs/limits.md has them beside those of the services: a test holds the page to them.
 */
export const edgeLimits = {
  /** Kibibytes of a request's headers. */
  headersKib: 32,
  headersCount: 100,
  /** Connections of all clients together. */
  connections: 16_384,
  /** Streams of one connection over HTTP/2. */
  streamsOfConnection: 100,
  /** Bytes that Envoy holds of one connection, either side, before it makes the sender wait. */
  bufferBytes: 32_768,
  /** Memory of Envoy. From nine tenths of it on it resets the streams that hold most; at 95 % it takes no new calls. */
  heapBytes: 400 << 20,
  /**
   * Calls of one kind at once, of one service: more than all its replicas take together, so that it is they who refuse,
   * with a reason that says of what.
   */
  callsAtOnce: 131_072,
  /** Of what is under way in a cluster so many hundredths may be retries, so that an outage is not doubled by them. */
  retriesPercent: 20,
  /** Bytes of what Stripe tells. */
  webhookBytes: 262_144,
  /** What Stripe may tell in a tenth of a second. */
  webhooksPerTenth: 100,
  /** Of that in a second what one address may send. Stripe has a dozen. */
  webhooksOfAddress: { perSecond: 500, burst: 2_500 },
  /**
   * Calls without a token, or with one that is no good, from one address: health, Studio's files, sign-in, and RPCs that will
   * be refused.
   */
  anonymousOfAddress: { perSecond: 100, burst: 1_000 },
  /** Calls of one wallet, whose sessions are free for everybody; operators and services have none. */
  callsOfWallet: { perSecond: 200, burst: 2_000 },
  /** Addresses or wallets that a limit remembers; beyond, the one seen longest ago starts anew. */
  remembered: 20_000,
} as const;

/** How long the edge waits, in seconds. */
export const edgeSeconds = {
  /** For the headers of a request. */
  headers: 10,
  /** For all of a request. No service waits for longer than a minute for one. */
  request: 75,
  /** For the answer to a unary call: longer than any service takes. */
  unary: 75,
  /** For the end of a stream, which the service brings after half an hour. */
  stream: 3_600,
  /** For anything to move on a stream: longer than three of the longest heartbeats. */
  streamIdle: 180,
  /** For a request on a connection that has none. */
  connectionIdle: 300,
  webhook: 15,
} as const;
