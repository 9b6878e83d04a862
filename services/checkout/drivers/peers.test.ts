// Goal: who calls Checkout hears of its peers what the peers say, and nothing of Checkout's own credentials. Method: a
// service that does nothing but call its peer through the driver, and a peer that answers what a test wants; both are
// real servers.
import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { DomainError } from "#common/domain-error.ts";
import { createLogger } from "#common/process/logger.ts";
import { limitOf } from "#common/rpc/call-limit.ts";
import { createRpcClient, type RpcClient } from "#common/rpc/client.ts";
import { type Implementation, mountOf } from "#common/rpc/mount.ts";
import type { UnaryContext } from "#common/rpc/unary-context.ts";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "#gen/google/rpc/error_details_pb.ts";
import { ClearingService } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { startFaultyUpstreams } from "../../../test/support/edge/faulty-upstreams.ts";
import { type Fixture, mountTwice } from "../../../test/support/rpc/fixture.ts";
import { createTokenIssuer, type TokenIssuer } from "../../../test/support/rpc/token-issuer.ts";
import { isAnswer } from "../settle/refusals.ts";
import { openPeers } from "./peers.ts";

type OpenWallet = Implementation<typeof ClearingService>["openWallet"];

const wallet = `0x${"12".repeat(20)}`;
const logged: { readonly level: string; readonly err?: { readonly message: string } }[] = [];

let issuer: TokenIssuer;
let peer: Fixture;
let front: Fixture;
let peers: ReturnType<typeof openPeers>;
let shopper: RpcClient<typeof ClearingService>;
let answer: OpenWallet;
/** Checkout's own token. */
let credential: () => Promise<string>;

const notCalled = (): never => {
  throw new Error("not part of this test");
};

function clearingOf(openWallet: OpenWallet) {
  return mountOf(
    ClearingService,
    { clear: notCalled, getClearing: notCalled, openWallet },
    { clearBatch: notCalled },
  );
}

beforeAll(async () => {
  issuer = await createTokenIssuer();
  const { jwksPath } = issuer;
  const destination = {
    write: (line: string) => logged.push(JSON.parse(line)),
  } as unknown as NodeJS.WritableStream;
  peer = await mountTwice({
    mounts: [clearingOf((request, ctx) => answer(request, ctx))],
    jwksPath,
  });
  const address = `127.0.0.1:${peer.grpcPort}`;
  peers = openPeers({
    attestorAddress: address,
    clearingAddress: address,
    token: () => credential(),
  });
  front = await mountTwice({
    mounts: [
      clearingOf(async (request, ctx) => {
        await peers.openWallet(request.wallet, request.ledger, limitOf(ctx));
        return {};
      }),
    ],
    logger: createLogger("test", "info", { format: "json", destination }),
    jwksPath,
  });
  shopper = createRpcClient(ClearingService, {
    address: `127.0.0.1:${front.grpcPort}`,
    token: () => issuer.token({ scope: "wallet.open", subject: "shopper" }),
    defaultTimeoutMs: 60_000,
  });
});

afterAll(async () => {
  shopper[Symbol.dispose]();
  peers.close();
  await front.close();
  await peer.close();
  issuer[Symbol.dispose]();
});

beforeEach(() => {
  logged.length = 0;
  credential = () => issuer.token({ scope: "wallet.open", subject: "checkout" });
});

/** What a shopper is refused with. */
async function refusal(): Promise<ConnectError> {
  const call = shopper.openWallet({ wallet, ledger: 1 });
  return call.then(() => expect.unreachable("the call succeeded"), ConnectError.from);
}

describe("a call to a peer", () => {
  it("carries the caller's trace and deadline, and Checkout's own credential", async () => {
    const seen: UnaryContext[] = [];
    answer = (_request, ctx) => {
      seen.push(ctx);
      return {};
    };
    const headers = {
      traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
      "x-request-id": "r-1",
    };
    const token = await credential();
    credential = async () => token;
    await shopper.openWallet({ wallet, ledger: 1 }, { headers, timeoutMs: 20_000 });
    const [ctx] = seen;
    expect(ctx?.requestHeader.get("traceparent")).toBe(headers.traceparent);
    expect(ctx?.requestHeader.get("x-request-id")).toBe("r-1");
    expect(ctx?.requestHeader.get("authorization")).toBe(`Bearer ${token}`);
    expect(ctx?.timeoutMs()).toBeLessThanOrEqual(19_000);
  });
});

describe("a refusal by a peer", () => {
  it("goes on with its reason, its metadata and its delay", async () => {
    answer = () => {
      throw new DomainError("RATE_LIMITED", "too many", {
        metadata: { limit: "65536", what: "postings under way" },
        retryAfterMs: 2_250,
      });
    };
    const error = await refusal();
    expect(error).toMatchObject({ code: Code.ResourceExhausted, rawMessage: "too many" });
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([
      { reason: "RATE_LIMITED", metadata: { limit: "65536", what: "postings under way" } },
    ]);
    expect(error.findDetails(RetryInfoSchema)).toMatchObject([
      { retryDelay: { seconds: 2n, nanos: 250_000_000 } },
    ]);
  });

  it("goes on with the fields that it names", async () => {
    const violation = { field: "ledger", rule: "asset.known", description: "is no asset" };
    answer = () => {
      throw new DomainError("INVALID_FIELD", "ledger: is no asset", {
        metadata: { field: "ledger", rule: "asset.known" },
        violations: [violation],
      });
    };
    const error = await refusal();
    expect(error.code).toBe(Code.InvalidArgument);
    expect(error.findDetails(BadRequestSchema)).toMatchObject([
      {
        fieldViolations: [
          { field: "ledger", reason: "ASSET_KNOWN", description: violation.description },
        ],
      },
    ]);
  });

  it.each([
    ["is missing a scope", () => issuer.token({ scope: "attest" })],
    ["has run out", () => issuer.token({ scope: "wallet.open", expiresInSeconds: -600 })],
    ["is garbled", async () => "abc"],
  ])(
    "of a credential of Checkout's that %s is a fault of ours, not the shopper's",
    async (_what, token) => {
      answer = notCalled;
      credential = token;
      const error = await refusal();
      expect(error.code).toBe(Code.Internal);
      expect(error.findDetails(ErrorInfoSchema)).toMatchObject([
        { reason: "INTERNAL", metadata: {} },
      ]);
      expect(error.rawMessage).not.toContain("token");
      expect(logged).toMatchObject([
        {
          level: "error",
          err: { message: expect.stringContaining("clearing refuses our own credential") },
        },
      ]);
    },
  );
});

describe("a peer that does not answer", () => {
  // In mid-call grpc-js calls this INTERNAL, and a fault of ours it is not.
  it.each([
    // What was sent may have happened.
    ["cuttingGrpc", "OUTCOME_UNKNOWN"],
    ["refusing", "LEDGER_UNAVAILABLE"],
  ] as const)("is away, and has said nothing: %s", async (how, kind) => {
    const upstreams = await startFaultyUpstreams();
    const address = `127.0.0.1:${upstreams[how]}`;
    const token = async () => "unread";
    const away = openPeers({ attestorAddress: address, clearingAddress: address, token });
    try {
      const limit = { deadlineMs: Date.now() + 20_000 };
      const error: unknown = await away.openWallet(wallet, 1, limit).then(
        () => expect.unreachable("the call succeeded"),
        (thrown: unknown) => thrown,
      );
      expect(error).toMatchObject({ kind, retryAfterMs: 500 });
      expect(isAnswer(error)).toBe(false);
    } finally {
      away.close();
      await upstreams.stop();
    }
  });
});
