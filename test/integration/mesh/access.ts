// Goal: whoever calls gets what his role may have, and what he may not see is told by no RPC, however he asks. Method:
// every RPC that there is, by every viewer: once for its scopes, and those that read with all that could be asked for.
import {
  create,
  type DescMethod,
  type DescMethodStreaming,
  type DescMethodUnary,
  fromJson,
  getOption,
  type JsonValue,
  type Message,
  toJsonString,
} from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { ConnectError } from "@connectrpc/connect";
import { beforeAll, expect, it } from "vitest";
import { contracts } from "#common/contracts.ts";
import { roles } from "#common/roles.ts";
import { scopeName } from "#common/rpc/access/access.ts";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { access } from "#gen/sovr/common/v1/access_pb.ts";
import type { SubscribeResponse } from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import type { TestMesh } from "../../support/mesh/mesh.ts";
import { type AccessWorld, openAccessWorld, type Viewer } from "./access-world.ts";

const callMs = 40_000;
const methods = contracts.flatMap((service) => service.methods);
const nameOf = (method: DescMethod) => `${method.parent.name}/${method.name}`;

/** The tests of who may call what and see what. `meshOf`: a mesh with whatever has cleared there, once it runs. */
export function testAccess(meshOf: () => TestMesh): void {
  let world: AccessWorld;

  beforeAll(async () => {
    world = await openAccessWorld(meshOf());
  });

  it.each(methods.map((method) => [nameOf(method), method] as const))(
    "%s answers those whose role has its scope, and no one else",
    async (_name, method) => {
      const answers = await Promise.all(
        world.viewers.map(async (viewer) => {
          const { reason } = await ask(viewer, method, create(method.input));
          return [viewer.name, isRefusal(reason) ? reason : "admitted"];
        }),
      );
      const expected = world.viewers.map((viewer) => [viewer.name, admissionOf(viewer, method)]);
      expect(answers).toEqual(expected);
    },
  );

  it("is walked through every RPC that reads", () => {
    const reads = methods.filter(
      ({ idempotency }) => idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS,
    );
    expect(Object.keys(questionsOf(world)).toSorted()).toEqual(reads.map(nameOf).toSorted());
  });

  const told = methods.filter(({ idempotency }) => {
    return idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
  });
  it.each(told.map((method) => [nameOf(method), method] as const))(
    "%s tells nobody what is not his to see",
    async (name, method) => {
      const questions = questionsOf(world)[name] ?? [];
      for (const viewer of world.viewers) {
        if (admissionOf(viewer, method) !== "admitted") continue;
        const isBound = viewer.role !== undefined && roles[viewer.role].boundBy !== undefined;
        const forbidden = world.secrets.filter(
          ({ knownTo }) => isBound && !knownTo.includes(viewer.name),
        );
        for (const question of questions) {
          const { answer } = await ask(viewer, method, fromJson(method.input, question));
          const leaks = forbidden.filter(({ text }) => answer.includes(text));
          const asked = JSON.stringify(question);
          expect(leaks, `${viewer.name} asked ${asked}`).toEqual([]);
        }
      }
    },
  );

  it("tells each what is his: of the payment, the order, and by which filter it is found", async () => {
    const { intentId, hidden, merchantId, order } = world;
    const wallets = [hidden.wallet];
    const found: Record<string, readonly string[]> = {};
    for (const viewer of world.viewers) {
      const sees = async (name: string, question: JsonValue, text: string) => {
        const method = methods.find((each) => nameOf(each) === name);
        if (method === undefined) throw new Error(`there is no ${name}`);
        const { answer } = await ask(viewer, method, fromJson(method.input, question));
        return answer.includes(text);
      };
      const list = "EventStreamService/ListEvents";
      const questions: readonly (readonly [string, Promise<boolean>])[] = [
        ["entry", sees("LedgerService/GetJournalEntry", { intentId }, intentId)],
        ["clearing", sees("ClearingService/GetClearing", { intentId }, intentId)],
        [
          "own leg",
          sees("LedgerService/GetTransfer", { transferId: world.transferIds[0] }, "digestPrefix"),
        ],
        [
          "hidden leg",
          sees("LedgerService/GetTransfer", { transferId: world.transferIds[1] }, "digestPrefix"),
        ],
        ["events", sees("EventStreamService/Subscribe", sinceOf(world), intentId)],
        ["by wallet", sees(list, { ...sinceOf(world), filter: { wallets } }, intentId)],
        [
          "by account",
          sees(list, { ...sinceOf(world), filter: { accountIds: [hidden.accountId] } }, intentId),
        ],
        [
          "by merchant",
          sees(list, { ...sinceOf(world), filter: { merchantIds: [merchantId] } }, intentId),
        ],
        ["order", sees("CheckoutService/GetCheckout", { intentId: order.intentId }, order.orderId)],
      ];
      const answers = await Promise.all(
        questions.map(async ([what, does]) => ((await does) ? [what] : [])),
      );
      found[viewer.name] = answers.flat();
    }
    const ledger = [
      "entry",
      "clearing",
      "own leg",
      "hidden leg",
      "events",
      "by wallet",
      "by account",
      "by merchant",
    ];
    expect(found).toEqual({
      none: [],
      shopper: [...ledger, "order"],
      "other shopper": [],
      recipient: ["entry", "clearing", "own leg", "events"],
      merchant: [...ledger, "order"],
      "other merchant": [],
      support: [...ledger, "order"],
      treasurer: ledger,
      approver: ledger,
      operator: [...ledger, "order"],
    });
  });
}

type Admission = "admitted" | "CREDENTIALS_MISSING" | "SCOPE_MISSING";

function isRefusal(reason: string | undefined): boolean {
  return reason === "CREDENTIALS_MISSING" || reason === "SCOPE_MISSING";
}

/** What the contract and the roles say. */
function admissionOf({ role }: Viewer, method: DescMethod): Admission {
  if (role === undefined) return "CREDENTIALS_MISSING";
  const { anyOf, unboundOnly } = getOption(method, access);
  const { boundBy, scopes } = roles[role];
  const held: readonly string[] = scopes;
  const has = anyOf.some((scope) => held.includes(scopeName(scope)));
  return has && !(unboundOnly && boundBy !== undefined) ? "admitted" : "SCOPE_MISSING";
}

/** The start of the world's events. */
function sinceOf({ payment }: AccessWorld) {
  const seconds = Number(payment.intent?.issueTime?.seconds ?? 0n) - 60;
  return { sinceTime: new Date(seconds * 1_000).toISOString() };
}

/** All that could be asked for what is in the world, in JSON, by RPC. */
export function questionsOf(world: AccessWorld): Readonly<Record<string, readonly JsonValue[]>> {
  const { intentId, hidden, recipientAccountId, merchantId, transferIds, order } = world;
  const accounts = [hidden.accountId, recipientAccountId];
  const byAccount = accounts.map((accountId) => ({ accountId }));
  const byWallet = { wallet: hidden.wallet, ledger: 1 };
  const since = sinceOf(world);
  const filters: readonly JsonValue[] = [
    {},
    { wallets: [hidden.wallet] },
    { accountIds: [hidden.accountId] },
    { merchantIds: [merchantId] },
    { codes: [6] },
  ];
  const events = filters.map((filter) => ({ ...since, filter }));
  const orders: readonly JsonValue[] = [
    { intentId: order.intentId },
    { order: { merchantId, orderId: order.orderId } },
    { order: { merchantId, orderId: order.orderId, wallet: hidden.wallet } },
  ];
  return {
    "AttestorService/GetDomain": [{}],
    "AttestorService/GetProposal": [{ intentId }],
    "AttestorService/ListProposals": [{}],
    // It is told of what it is given, which whoever asks has already.
    "AttestorService/VerifyAttestation": [],
    "ClearingService/GetClearing": [{ intentId }, { intentId: order.intentId }],
    "LedgerService/ListAssets": [{}],
    "LedgerService/ListAccounts": [{}, { filter: { wallet: hidden.wallet } }, { pageSize: 1000 }],
    "LedgerService/GetAccount": [...byAccount, byWallet],
    "LedgerService/GetBalance": [...byAccount, byWallet],
    "LedgerService/BatchGetBalances": accounts.map((accountId) => ({ accountIds: [accountId] })),
    "LedgerService/GetTransfer": transferIds.map((transferId) => ({ transferId })),
    "LedgerService/ListTransfers": [{}, ...byAccount],
    "LedgerService/GetJournalEntry": [{ intentId }, { intentId: order.intentId }],
    "LedgerService/ListJournalEntries": [{ pageSize: 1000 }, { wallet: hidden.wallet }],
    "LedgerService/GetStatement": byAccount,
    "LedgerService/GetTrialBalance": [{ ledger: 1 }],
    "EventStreamService/Subscribe": events,
    "EventStreamService/ListEvents": events,
    "EventStreamService/WatchBalances": accounts.map((accountId) => ({ accountIds: [accountId] })),
    "CheckoutService/ListProducts": [{}],
    "CheckoutService/GetCheckout": orders,
    "CheckoutService/WatchCheckout": orders,
    "CheckoutService/ListCheckouts": [{}, { merchantId }, { wallet: hidden.wallet }],
    "CheckoutService/ListWebhookEvents": [{}],
  };
}

interface Answer {
  /** What was told, in JSON; "" if that was an error. */
  readonly answer: string;
  /** Why it was refused. */
  readonly reason: string | undefined;
}

/** Asks, and reads a stream up to where it is live, or its first message where that is all. */
async function ask(viewer: Viewer, method: DescMethod, input: Message): Promise<Answer> {
  const left = new AbortController();
  const signal = AbortSignal.any([left.signal, AbortSignal.timeout(callMs)]);
  const { transport } = viewer;
  let answer = "";
  try {
    if (method.methodKind === "unary") {
      const unary = method as DescMethodUnary;
      const { message } = await transport.unary(unary, signal, undefined, undefined, input);
      return { answer: toJsonString(method.output, message), reason: undefined };
    }
    const streaming = method as DescMethodStreaming;
    const one = (async function* () {
      yield input;
    })();
    const response = await transport.stream(streaming, signal, undefined, undefined, one);
    for await (const message of response.message) {
      answer += toJsonString(method.output, message);
      if (isEnough(message)) break;
    }
    return { answer, reason: undefined };
  } catch (error) {
    const [info] = ConnectError.from(error).findDetails(ErrorInfoSchema);
    if (info === undefined) throw error;
    return { answer, reason: info.reason };
  } finally {
    left.abort();
  }
}

/** A subscription is live from its bookmark on; one from now on has nothing behind it. */
function isEnough(message: Message): boolean {
  if (message.$typeName !== "sovr.eventstream.v1.SubscribeResponse") return true;
  const { message: told } = message as SubscribeResponse;
  if (told.case !== "opened") return told.case === "bookmark";
  return told.value.startCursor === told.value.head;
}
