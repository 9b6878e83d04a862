import { MessageChannel, type MessagePort } from "node:worker_threads";
import { ErrorCodes, RequestError } from "tigerbeetle-node";
import { EmbeddedLedgerError, plainError } from "../errors.ts";
import { Packer } from "../rows/codec.ts";
import { ROW_WORDS } from "../rows/words.ts";
import type { EngineReply, EngineRequest, Operation } from "./serve.ts";

/** The most events of a request and rows of a reply, as TigerBeetle's default message holds. */
export const BATCH_MAX = 8189;

/** From this size on, a request is sent while another one is at work: the thread must not idle. */
const PIPELINE_EVENTS = 256;

export type Unpack<R> = (buffer: ArrayBuffer, first: number, count: number) => R[];

/** What answers requests, in their order. */
export type Link = {
  post(request: EngineRequest): void;
  /** Whether it keeps the process alive. */
  ref(): void;
  unref(): void;
  close(): void;
};

export type LinkEvents = {
  readonly onReply: (reply: EngineReply) => void;
  /** There will be no more replies. `reason`: for those who wait. */
  readonly onEnd: (reason: EmbeddedLedgerError) => void;
};

/** Opens a link; called again once that has ended. */
export type OpenLink = (events: LinkEvents) => Link;

type Waiter = {
  readonly count: number;
  readonly resolve: (buffer: ArrayBuffer, first: number, count: number) => void;
  readonly reject: (error: unknown) => void;
};

/** A request, and who waits for its reply. */
type Message = {
  /** Rows the reply may have. */
  readonly rows: number;
  take(): EngineRequest;
  /** The reply, or why there will be none. */
  settle(reply: EngineReply): void;
};

/** Calls of one operation that will share a message and, if they write, a transaction. */
class Group implements Message {
  readonly packer: Packer;
  readonly waiters: Waiter[] = [];
  events = 0;
  rows = 0;
  readonly operation: Operation;

  constructor(operation: Operation, count: number) {
    const words = operation.startsWith("lookup") ? count * 4 : count * ROW_WORDS;
    this.operation = operation;
    this.packer = new Packer(words);
  }

  take(): EngineRequest {
    const counts = this.waiters.map((waiter) => waiter.count);
    return { operation: this.operation, buffer: this.packer.take(), counts };
  }

  settle(reply: EngineReply): void {
    if (!reply.ok) {
      for (const waiter of this.waiters) waiter.reject(revive(reply.error));
      return;
    }
    let first = 0;
    for (const [index, waiter] of this.waiters.entries()) {
      const count = reply.counts[index] ?? 0;
      waiter.resolve(reply.buffer, first, count);
      first += count;
    }
  }
}

type Begin = (count: number, rows: number) => { packer: Packer; done: () => void };

/**
 * Sends requests to the engine in the order of the calls. Like TigerBeetle's client, it lets calls
 * of one operation share a request while an earlier one is at work. Requests of clients that share
 * it keep their own order, and take turns with the calls.
 */
export class RequestQueue {
  readonly #openLink: OpenLink;
  #link: Link | undefined;
  #destroyed = false;
  readonly #inFlight: Message[] = [];
  readonly #pending: Group[] = [];
  /** Of clients that share the queue: at most two of each. */
  readonly #shared: Message[] = [];
  readonly #ports = new Set<MessagePort>();
  #sharedHadTurn = false;

  /** Opens the link at once. */
  constructor(openLink: OpenLink) {
    this.#openLink = openLink;
    this.#link = this.#open();
  }

  submit<R>(operation: Operation, unpack: Unpack<R>, pack: (begin: Begin) => void): Promise<R[]> {
    return new Promise((resolve, reject) => {
      if (this.#destroyed) throw new RequestError(ErrorCodes.ERR_CLIENT_CLOSED);
      const waiter = (count: number): Waiter => ({
        count,
        reject,
        resolve: (buffer, first, rows) => resolve(unpack(buffer, first, rows)),
      });
      let undo: (() => void) | undefined;
      try {
        // Packing reads the caller's objects now, as the native client does.
        pack((count, rows) => {
          const group = this.#groupFor(operation, count, rows);
          const { length } = group.packer;
          undo = () => group.packer.truncate(length);
          return {
            packer: group.packer,
            done: () => {
              group.waiters.push(waiter(count));
              group.events += count;
              group.rows += rows;
              if (group.waiters.length === 1) this.#pending.push(group);
            },
          };
        });
      } catch (error) {
        undo?.();
        throw error;
      }
      this.#send();
    });
  }

  /** A port on which `portOf` gets what this queue gets. */
  share(): MessagePort {
    if (this.#destroyed) throw new RequestError(ErrorCodes.ERR_CLIENT_CLOSED);
    const { port1: port, port2 } = new MessageChannel();
    this.#ports.add(port);
    port.on("message", (request: EngineRequest) => {
      if (this.#destroyed) return;
      this.#shared.push(forwarded(request, port));
      this.#send();
    });
    port.on("close", () => this.#ports.delete(port));
    port.unref();
    return port2;
  }

  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    for (const port of this.#ports) port.close();
    this.#link?.close();
    this.#link = undefined;
    this.#failAll(new RequestError(ErrorCodes.ERR_CLIENT_CLOSED));
  }

  /** The waiting group that still has room, or a new one. */
  #groupFor(operation: Operation, count: number, rows: number): Group {
    for (const group of this.#pending) {
      if (
        group.operation === operation &&
        group.events + count <= BATCH_MAX &&
        group.rows + rows <= BATCH_MAX
      ) {
        return group;
      }
    }
    return new Group(operation, count);
  }

  #send(): void {
    for (;;) {
      const queue = this.#whoseTurn();
      const [message] = queue;
      if (message === undefined || this.#inFlight.length > 1) return;
      if (this.#inFlight.length === 1 && message.rows < PIPELINE_EVENTS) return;
      queue.shift();
      this.#sharedHadTurn = queue === this.#shared;
      this.#inFlight.push(message);
      this.#link ??= this.#open();
      this.#link.ref();
      this.#link.post(message.take());
    }
  }

  /** Those whose turn it is; empty if nobody waits. */
  #whoseTurn(): Message[] {
    const [next, other]: Message[][] = this.#sharedHadTurn
      ? [this.#pending, this.#shared]
      : [this.#shared, this.#pending];
    return next?.length ? next : (other ?? []);
  }

  #open(): Link {
    const link = this.#openLink({
      onReply: (reply) => this.#receive(reply),
      onEnd: (reason) => {
        if (this.#link !== link) return;
        // The next call opens another.
        this.#link = undefined;
        this.#failAll(reason);
      },
    });
    return link;
  }

  #receive(reply: EngineReply): void {
    if (this.#destroyed) return;
    const message = this.#inFlight.shift();
    if (!message) return;
    this.#send();
    if (this.#inFlight.length === 0) this.#link?.unref();
    message.settle(reply);
  }

  #failAll(error: Error): void {
    const queues: Message[][] = [this.#inFlight, this.#pending, this.#shared];
    for (const message of queues.flatMap((queue) => queue.splice(0))) {
      message.settle({ ok: false, error });
    }
  }
}

/** A request of a client that shares the queue, by way of its port. */
function forwarded(request: EngineRequest, port: MessagePort): Message {
  return {
    // How many rows a query will get is not known here; one is on the safe side.
    rows: request.counts.reduce((sum, count) => sum + count, 0),
    take: () => request,
    settle: (reply) => {
      if (reply.ok) port.postMessage(reply, [reply.buffer]);
      else port.postMessage({ ok: false, error: plainError(reply.error) } satisfies EngineReply);
    },
  };
}

/** The link to another queue, by a port that it shared. */
export function portOf(port: MessagePort): OpenLink {
  let ended = false;
  return ({ onReply, onEnd }) => {
    const end = () => {
      ended = true;
      onEnd(
        new EmbeddedLedgerError(
          "ERR_EMBEDDED_STOPPED",
          "The client that shares the embedded ledger was closed",
        ),
      );
    };
    const nothing = () => undefined;
    if (ended) {
      return { post: () => queueMicrotask(end), ref: nothing, unref: nothing, close: nothing };
    }
    port.on("message", onReply);
    port.once("close", end);
    port.unref();
    return {
      post: (request) => port.postMessage(request, [request.buffer]),
      ref: () => port.ref(),
      unref: () => port.unref(),
      close: () => port.close(),
    };
  };
}

function revive(error: Extract<EngineReply, { ok: false }>["error"]): unknown {
  if (error instanceof Error) return error;
  return new EmbeddedLedgerError(error.code, error.message);
}
