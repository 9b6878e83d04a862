import type { WebServerOptions } from "#common/process/web-server.ts";
import { http2ServerOptions } from "../limits/http2-options.ts";

/** More than the edge takes and adds: there the refusal has a reason, Node's own has none. */
const headerBytesMax = 48 * 1_024;

/** The options of every server on a Connect port. */
export const connectServerOptions: WebServerOptions = {
  http1: {
    // No method gives a request longer to arrive; answers may stream for as long as they like.
    requestTimeout: 60_000,
    headersTimeout: 10_000,
    keepAliveTimeout: 75_000,
    maxHeaderSize: headerBytesMax,
  },
  http2: {
    ...http2ServerOptions,
    settings: { ...http2ServerOptions.settings, maxHeaderListSize: headerBytesMax },
  },
  firstByteMs: 10_000,
};
