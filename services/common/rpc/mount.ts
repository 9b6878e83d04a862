import type { DescService } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";

/** A service and what implements it, ready to be mounted on both servers. */
export interface Mount {
  readonly service: DescService;
  readonly implementation: ServiceImpl<DescService>;
}

/** Pairs a service with its implementation; the types must fit. */
export function mountOf<Service extends DescService>(
  service: Service,
  implementation: ServiceImpl<Service>,
): Mount {
  return { service, implementation };
}
