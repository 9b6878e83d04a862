import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { Logger } from "./logger.ts";

/** Answers a plain HTTP request, which carries no credentials of ours: it checks by itself who asks. */
export type HttpRoute = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/** Routes by their exact path, such as `/webhooks/stripe`. */
export type HttpRoutes = Readonly<Record<string, HttpRoute>>;

/** A listener that serves the routes, and hands every other request on. While it drains, routes answer 503. */
export function routeRequests(options: {
  readonly routes: HttpRoutes;
  readonly otherwise: RequestListener;
  readonly drainSignal: AbortSignal;
  readonly logger: Logger;
}): RequestListener {
  const { otherwise, drainSignal, logger } = options;
  const routes = new Map(Object.entries(options.routes));
  return (request, response) => {
    const path = request.url?.split("?", 1)[0] ?? "";
    const route = routes.get(path);
    if (route === undefined) return otherwise(request, response);
    if (drainSignal.aborted) {
      // A connection that stays open would bring new requests to a process that is leaving.
      response.shouldKeepAlive = false;
      return answerError(response, 503, "draining");
    }
    route(request, response).catch((error: unknown) => {
      // Whoever leaves in the middle of a body has cut it off, and nobody failed.
      if (request.errored !== null) {
        logger.debug({ path, err: error }, "the caller left");
        response.destroy();
        return;
      }
      logger.error({ path, err: error }, "request failed");
      if (response.headersSent) response.destroy();
      else answerError(response, 500, "internal");
    });
  };
}

function answerError(response: ServerResponse, status: number, error: string): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(`${JSON.stringify({ error })}\n`);
}
