import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { Stripe } from "stripe";

/** Where a simulator of Stripe sends its events in a test. */
export interface WebhookReceiver {
  readonly url: string;
  /** What came with a good signature, in the order of arrival, duplicates too. */
  readonly events: Stripe.Event[];
  /** Bodies whose signature was refused. */
  readonly refused: string[];
  /** What it answers to good ones from now on; 200 at first. */
  answerWith(status: number): void;
  /** Keeps its answers to itself until what this returns is called. */
  hold(): () => void;
  /** Waits for an event of a type, about an object if that is given. Rejects after half a minute. */
  waitFor(type: string, objectId?: string): Promise<Stripe.Event>;
  close(): Promise<void>;
}

const waitMsMax = 30_000;

/** Listens on a free port of the loopback address and checks signatures with the SDK. */
export async function receiveWebhooks(secret: string): Promise<WebhookReceiver> {
  const stripe = new Stripe("sk_test_unused");
  const events: Stripe.Event[] = [];
  const refused: string[] = [];
  let answer = 200;
  let released = Promise.resolve();
  const server = createServer(async (request, response) => {
    const body = await readAll(request);
    const signature = String(request.headers["stripe-signature"]);
    try {
      events.push(stripe.webhooks.constructEvent(body, signature, secret));
      await released;
      response.writeHead(answer).end();
    } catch {
      refused.push(body);
      response.writeHead(400).end();
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}/webhooks/stripe`,
    events,
    refused,
    answerWith(status) {
      answer = status;
    },
    hold() {
      const held = Promise.withResolvers<void>();
      released = held.promise;
      return held.resolve;
    },
    async waitFor(type, objectId) {
      const isIt = (event: Stripe.Event) =>
        event.type === type && (objectId === undefined || objectIdOf(event) === objectId);
      for (const untilMs = performance.now() + waitMsMax; performance.now() < untilMs; ) {
        const found = events.find(isIt);
        if (found !== undefined) return found;
        await sleep(5);
      }
      throw new Error(`no ${type} within ${waitMsMax} ms, only ${events.map((one) => one.type)}`);
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** The id of the object that an event is about. */
export function objectIdOf(event: Stripe.Event): string {
  const { object } = event.data;
  return "id" in object ? String(object.id) : "";
}

async function readAll(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}
