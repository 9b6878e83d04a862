import type { DescService } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";

/**
 * Implements a method whose request and answer are lists of thousands. They come and go in bytes, so that the event loop
 * need not decode them; the handler checks the request itself.
 */
export type BatchHandler = (request: Uint8Array, ctx: HandlerContext) => Promise<Buffer>;

/** Batch handlers by the methods' local names. */
export type BatchHandlers = Readonly<Record<string, BatchHandler>>;

/** A service and what implements it, ready to be mounted on both servers. */
export interface Mount {
  readonly service: DescService;
  /** Its methods without the batch methods. */
  readonly implementation: ServiceImpl<DescService>;
  readonly batches: BatchHandlers;
}

/** Pairs a service with its implementation; the types must fit. */
export function mountOf<
  Service extends DescService,
  Batches extends BatchHandlers = Record<never, never>,
>(
  service: Service,
  implementation: Omit<ServiceImpl<Service>, keyof Batches>,
  batches?: Batches,
): Mount {
  // The type of an implementation without some of its methods is none that TypeScript can compare; the guard does.
  return {
    service,
    implementation: implementation as ServiceImpl<DescService>,
    batches: batches ?? {},
  };
}
