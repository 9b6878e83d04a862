import type { DescService } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";

export interface RpcClientOptions {
  /** The peer as `host:port`, or a gRPC target such as `dns:///ledger:5100`. */
  readonly address: string;
  /** Gives the token for each call. */
  readonly token?: () => Promise<string>;
  /** The deadline of unary calls that name none. */
  readonly defaultTimeoutMs: number;
}

/** A client that closes its connections when disposed of. */
export type RpcClient<Service extends DescService> = Client<Service> & Disposable;

/** A typed client of a service. */
export function createRpcClient<Service extends DescService>(
  _service: Service,
  _options: RpcClientOptions,
): RpcClient<Service> {
  throw new Error("createRpcClient is being built");
}
