import type { Interceptor, Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { explainCutCalls } from "#common/rpc/cut-call.ts";
import { retryAsTold } from "#common/rpc/retry/as-told.ts";
import { edgeUrl, type Settings } from "../state/settings.ts";
import { type MeshIdentity, requireMesh, settingsOf } from "../state/state.ts";
import { trustMesh } from "../tls/trust-mesh.ts";
import { signToken } from "./token.ts";

/** A running mesh as an operator reaches it: through Envoy, with a token. */
export interface MeshClient {
  readonly identity: MeshIdentity;
  /** Envoy, http or https. */
  readonly edgeUrl: string;
  readonly transport: Transport;
}

export interface MeshClientOptions {
  /** Default: all scopes. */
  readonly scopes?: readonly string[] | undefined;
  /** The wallet that the token is bound to. */
  readonly wallet?: string | undefined;
  /** The merchant that it is bound to. */
  readonly merchant?: string | undefined;
  /** "as told": what the contract lets one repeat is repeated for half a minute. Default: every error is shown as it is. */
  readonly retries?: "as told";
  /** Who calls: as TokenRequest. */
  readonly subject?: string;
}

/** Opens the mesh of this state folder; a Problem if none runs. */
export function openMesh(settings: Settings, options: MeshClientOptions = {}): MeshClient {
  const { state, identity } = requireMesh(settings);
  const running = settingsOf(settings, state);
  trustMesh(running);
  const authorize: Interceptor = (next) => async (request) => {
    request.header.set("authorization", `Bearer ${await signToken(settings, options)}`);
    return next(request);
  };
  const transport = createConnectTransport({
    baseUrl: edgeUrl(running),
    httpVersion: "1.1",
    interceptors: [
      ...(options.retries === "as told" ? [retryAsTold] : []),
      explainCutCalls,
      authorize,
    ],
  });
  return { identity, edgeUrl: edgeUrl(running), transport };
}
