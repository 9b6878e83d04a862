import { type Client, createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { createRpcClient } from "#common/rpc/client.ts";
import { explainCutCalls } from "#common/rpc/cut-call.ts";
import { retryAsTold } from "#common/rpc/retry/as-told.ts";
import { AttestorService } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import { CheckoutService } from "#gen/sovr/checkout/v1/checkout_service_pb.ts";
import { ClearingService } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { EventStreamService } from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { LedgerService } from "#gen/sovr/ledger/v1/ledger_service_pb.ts";
import type { TestMesh } from "../mesh/mesh.ts";

/** The services as one caller reaches them. */
export interface Caller {
  readonly name: string;
  /** How long it waits for an answer. */
  readonly timeoutMs: number;
  /** Whether it sends again what the contract lets it: it sees no error as long as a fault is shorter than that. */
  readonly isPatient: boolean;
  readonly attestor: Client<typeof AttestorService>;
  readonly clearing: Client<typeof ClearingService>;
  readonly ledger: Client<typeof LedgerService>;
  readonly eventstream: Client<typeof EventStreamService>;
  readonly checkout: Client<typeof CheckoutService>;
  close(): void;
}

const plainMs = 5_000;
const patientMs = 60_000;

/** One over each protocol who is told every error, and two who repeat. `address`: of the edge, or of a proxy before it. */
export function openCallers(mesh: TestMesh, address: string): readonly Caller[] {
  const authorize: Interceptor = (next) => async (request) => {
    request.header.set("authorization", `Bearer ${await mesh.token()}`);
    return next(request);
  };
  const options = (...interceptors: Interceptor[]) => ({
    baseUrl: `http://${address}`,
    httpVersion: "1.1" as const,
    interceptors: [...interceptors, explainCutCalls, authorize],
  });
  const plain = { timeoutMs: plainMs, isPatient: false };
  const patient = { timeoutMs: patientMs, isPatient: true };
  return [
    over({ ...plain, name: "Connect" }, createConnectTransport(options())),
    over({ ...plain, name: "gRPC-Web" }, createGrpcWebTransport(options())),
    over({ ...patient, name: "patient Connect" }, createConnectTransport(options(retryAsTold))),
    overGrpc({ ...patient, name: "patient gRPC" }, mesh, address),
  ];
}

type Manners = Pick<Caller, "name" | "timeoutMs" | "isPatient">;

function over(manners: Manners, transport: Transport): Caller {
  return {
    ...manners,
    attestor: createClient(AttestorService, transport),
    clearing: createClient(ClearingService, transport),
    ledger: createClient(LedgerService, transport),
    eventstream: createClient(EventStreamService, transport),
    checkout: createClient(CheckoutService, transport),
    close: () => undefined,
  };
}

function overGrpc(manners: Manners, mesh: TestMesh, address: string): Caller {
  const options = {
    address,
    token: () => mesh.token(),
    defaultTimeoutMs: manners.timeoutMs,
    retries: "as told" as const,
  };
  const clients = {
    attestor: createRpcClient(AttestorService, options),
    clearing: createRpcClient(ClearingService, options),
    ledger: createRpcClient(LedgerService, options),
    eventstream: createRpcClient(EventStreamService, options),
    checkout: createRpcClient(CheckoutService, options),
  };
  return {
    ...manners,
    ...clients,
    close() {
      for (const client of Object.values(clients)) client[Symbol.dispose]();
    },
  };
}
