import type {
  DescMethodUnary,
  DescService,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import type { MethodImpl } from "@connectrpc/connect";
import type { UnaryContext } from "./unary-context.ts";

/** What implements a service: Connect's ServiceImpl, and its unary methods may rely on a deadline. */
export type Implementation<Service extends DescService> = {
  [Name in keyof Service["method"]]: Service["method"][Name] extends DescMethodUnary<
    infer Input,
    infer Output
  >
    ? (
        request: MessageShape<Input>,
        ctx: UnaryContext,
      ) => Promise<MessageInitShape<Output>> | MessageInitShape<Output>
    : MethodImpl<Service["method"][Name]>;
};

/**
 * Implements a method whose request and answer are lists of thousands. They come and go in bytes, so that the event loop
 * need not decode them; the handler checks the request itself.
 */
export type BatchHandler = (request: Uint8Array, ctx: UnaryContext) => Promise<Buffer>;

/** Batch handlers by the methods' local names. */
export type BatchHandlers = Readonly<Record<string, BatchHandler>>;

/** JSON of a batch method's request and answer, read and written where it does not hold up the event loop. */
export interface BatchJson {
  /** The encoded request, read strictly. Rejects with INVALID_FIELD. */
  read(json: Uint8Array): Promise<Uint8Array>;
  /** The JSON of an encoded answer. */
  write(answer: Uint8Array): Promise<Uint8Array>;
}

/** A service and what implements it, ready to be mounted on both servers. */
export interface Mount {
  readonly service: DescService;
  /** Its methods without the batch methods. */
  readonly implementation: Implementation<DescService>;
  readonly batches: BatchHandlers;
  /** By the batch methods' local names; of what is not here JSON is read and written on the event loop. */
  readonly batchJson: Readonly<Record<string, BatchJson>>;
}

/** Pairs a service with its implementation; the types must fit. */
export function mountOf<
  Service extends DescService,
  Batches extends BatchHandlers = Record<never, never>,
>(
  service: Service,
  implementation: Omit<Implementation<Service>, keyof Batches>,
  batches?: Batches,
  batchJson?: { readonly [Name in keyof Batches]: BatchJson },
): Mount {
  // The type of an implementation without some of its methods is none that TypeScript can compare; the guard does.
  return {
    service,
    implementation: implementation as Implementation<DescService>,
    batches: batches ?? {},
    batchJson: batchJson ?? {},
  };
}
