// Goal: whatever is wrong with a request, every road says the same: code, reason and field. Method: the rows of
// test/vectors/bad-input.json, each made anew for each call, straight to both mounts of its service and through Envoy
// on both of its roads. It looks at an empty ledger at its end, so it comes before whatever clears.
import {
  createRegistry,
  type DescMethodStreaming,
  type DescMethodUnary,
  fromJson,
  type JsonObject,
  toJson,
} from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  createClient,
  createContextValues,
  type Transport,
} from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { beforeAll, expect, it } from "vitest";
import { intentDomain } from "#common/intent/digest.ts";
import { assets } from "#common/ledger/assets.ts";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { AttestationSchema } from "#gen/sovr/attestor/v1/attestation_pb.ts";
import {
  AttestorService,
  AttestRequestSchema,
  file_sovr_attestor_v1_attestor_service,
} from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import { ClearingIntentSchema } from "#gen/sovr/attestor/v1/intent_pb.ts";
import {
  CheckoutService,
  CreateCheckoutRequestSchema,
  file_sovr_checkout_v1_checkout_service,
} from "#gen/sovr/checkout/v1/checkout_service_pb.ts";
import { file_sovr_clearing_v1_clearing_service } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { file_sovr_eventstream_v1_event_stream_service } from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import {
  file_sovr_ledger_v1_ledger_service,
  LedgerService,
} from "#gen/sovr/ledger/v1/ledger_service_pb.ts";
import { signToken } from "../../../cli/client/token.ts";
import {
  type BadInputCase,
  type BadInputToken,
  type BadInputWorld,
  readBadInput,
} from "../../support/intents/bad-input.ts";
import type { TestMesh } from "../../support/mesh/mesh.ts";
import { createTokenIssuer } from "../../support/rpc/token-issuer.ts";

const registry = createRegistry(
  file_sovr_attestor_v1_attestor_service,
  file_sovr_checkout_v1_checkout_service,
  file_sovr_clearing_v1_clearing_service,
  file_sovr_eventstream_v1_event_stream_service,
  file_sovr_ledger_v1_ledger_service,
);
const cases = readBadInput();
const callMsMax = 10_000;

/** The tests of bad input. `meshOf`: a mesh that nothing was done to, once it runs. */
export function testBadInput(meshOf: () => TestMesh): void {
  let mesh: TestMesh;
  let world: BadInputWorld;
  let roads: Readonly<Record<string, (service: string) => Transport>>;

  beforeAll(() => {
    mesh = meshOf();
    world = worldOf(mesh);
    roads = roadsOf(mesh);
  });

  it.each(cases)("$name", async (row) => {
    const answers = await Promise.all(
      Object.entries(roads).map(async ([road, transportTo]) => {
        const refusal = await call(
          row,
          transportTo(row.service),
          await tokenOf(mesh, row.token),
          world,
        );
        return [road, refusal] as const;
      }),
    );
    const { code, reason, field } = row.expect;
    for (const [road, refusal] of answers) {
      expect({
        road,
        ...refusal,
        field: field === undefined ? undefined : refusal.field,
      }).toEqual({
        road,
        code,
        reason,
        field,
      });
    }
  });

  it("has moved nothing: debits equal credits in every asset", async () => {
    const ledger = createClient(LedgerService, mesh.client().transport);
    for (const asset of assets) {
      const trial = await ledger.getTrialBalance({ ledger: asset.ledger });
      expect(trial.debitsPosted).toBe(trial.creditsPosted);
      expect(trial.debitsPending).toBe(trial.creditsPending);
    }
  });

  it("has cleared nothing and charged nobody", async () => {
    const ledger = createClient(LedgerService, mesh.client().transport);
    expect((await ledger.listTransfers({})).transfers).toEqual([]);
    const { host, ports } = mesh.settings;
    const state = await fetch(`http://${host}:${ports.stripeSim}/_sim/state`);
    expect(await state.json()).toMatchObject({ money: {} });
  });
}

function worldOf(mesh: TestMesh): BadInputWorld {
  const { identity } = mesh;
  const { transport } = mesh.client();
  const attestor = createClient(AttestorService, transport);
  const checkout = createClient(CheckoutService, transport);
  return {
    clusterId: BigInt(identity.clusterId),
    domain: intentDomain({
      environment: identity.environment,
      clusterId: BigInt(identity.clusterId),
      chainId: BigInt(identity.chainId),
      verifyingContract: identity.verifyingContract,
    }),
    attest: async (request) => {
      const { attestation } = await attestor.attest(fromJson(AttestRequestSchema, request));
      if (attestation === undefined) throw new Error("Attest answered no attestation");
      return toJson(AttestationSchema, attestation) as JsonObject;
    },
    createCheckout: async (request) => {
      const { intent } = await checkout.createCheckout(
        fromJson(CreateCheckoutRequestSchema, request),
      );
      if (intent === undefined) throw new Error("CreateCheckout answered no intent");
      return toJson(ClearingIntentSchema, intent) as JsonObject;
    },
  };
}

/** Both mounts of a service, and both roads through Envoy. */
function roadsOf(mesh: TestMesh): Record<string, (service: string) => Transport> {
  const envoy = `http://${mesh.address}`;
  const grpc = createGrpcTransport({ baseUrl: envoy });
  const json = createConnectTransport({ baseUrl: envoy, httpVersion: "1.1" });
  const direct = new Map(
    Object.entries(mesh.services).map(([name, { grpc: grpcAddress, connect }]) => [
      name,
      {
        grpc: createGrpcTransport({ baseUrl: `http://${grpcAddress}` }),
        json: createConnectTransport({ baseUrl: `http://${connect}`, httpVersion: "1.1" }),
      },
    ]),
  );
  const directTo = (service: string) => {
    const transports = direct.get(service.split(".")[1] ?? "");
    if (transports === undefined) throw new Error(`nobody serves ${service}`);
    return transports;
  };
  return {
    "gRPC, direct": (service) => directTo(service).grpc,
    "Connect JSON, direct": (service) => directTo(service).json,
    "gRPC, Envoy": () => grpc,
    "Connect JSON, Envoy": () => json,
  };
}

async function tokenOf(mesh: TestMesh, token: BadInputToken): Promise<string | undefined> {
  switch (token.kind) {
    case "none":
      return undefined;
    case "garbled":
      return "garbled";
    case "expired":
      return mesh.token({ seconds: -600 });
    case "wrong-audience": {
      const jwt = { ...mesh.settings.jwt, audience: "another-mesh" };
      return signToken({ ...mesh.settings, jwt });
    }
    case "unknown-key": {
      using issuer = await createTokenIssuer();
      return issuer.token({ scope: "ledger.read" });
    }
    case "good":
      return mesh.token({ scopes: token.scopes, wallet: token.wallet });
  }
}

interface Refusal {
  readonly code: string;
  readonly reason: string | undefined;
  readonly field: string | undefined;
}

async function call(
  row: BadInputCase,
  transport: Transport,
  token: string | undefined,
  world: BadInputWorld,
): Promise<Refusal> {
  const method = registry.getService(row.service)?.methods.find(({ name }) => name === row.method);
  if (method === undefined) throw new Error(`${row.service} has no ${row.method}`);
  const input = fromJson(method.input, await row.request(world));
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  try {
    if (method.methodKind === "unary") {
      await transport.unary(method as DescMethodUnary, undefined, callMsMax, headers, input);
    } else {
      const one = (async function* () {
        yield input;
      })();
      const answer = await transport.stream(
        method as DescMethodStreaming,
        undefined,
        callMsMax,
        headers,
        one,
        createContextValues(),
      );
      for await (const _ of answer.message) break;
    }
  } catch (error) {
    return refusalOf(ConnectError.from(error));
  }
  return { code: "OK", reason: undefined, field: undefined };
}

function refusalOf(error: ConnectError): Refusal {
  const [info] = error.findDetails(ErrorInfoSchema);
  const code = Code[error.code].replaceAll(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
  return {
    code: code === "CANCELED" ? "CANCELLED" : code,
    reason: info?.reason,
    field: info?.metadata["field"],
  };
}
