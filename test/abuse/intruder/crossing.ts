import { create, type DescMethod, fromJson } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { beforeAll, expect, it } from "vitest";
import { contracts } from "#common/contracts.ts";
import { formatIntent } from "#common/intent/codec.ts";
import { roles } from "#common/roles.ts";
import { scopesOf } from "#common/rpc/access/access.ts";
import { newUuidV7 } from "#common/uuid.ts";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { AttestorService } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import { PaymentMethod } from "#gen/sovr/checkout/v1/checkout_pb.ts";
import { purchaseIntent, signIntent, usd } from "../../../cli/client/intents.ts";
import { questionsOf } from "../../integration/mesh/access.ts";
import { type AccessWorld, openAccessWorld } from "../../integration/mesh/access-world.ts";
import { type Door, openDoors } from "../../support/abuse/doors.ts";
import { type Holdings, readHoldings } from "../../support/abuse/holdings.ts";
import type { TestMesh } from "../../support/mesh/mesh.ts";
import { faultOf, reasonIn } from "../../support/walk/judge.ts";

const methods = contracts.flatMap((service) => service.methods);
const nameOf = (method: DescMethod) => `${method.parent.name}/${method.name}`;
const isRead = ({ idempotency }: DescMethod) =>
  idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;

type Init = Record<string, unknown>;

/** Who tries. */
const intruders = ["shopper", "merchant"] as const;

/** Tests that a token of one wallet, or of one merchant, does nothing with what is another's. */
export function testCrossing(meshOf: () => TestMesh): void {
  let doors: readonly Door[];
  let world: AccessWorld;
  let writes: Readonly<Record<string, Init>>;
  let tokens: Readonly<Record<(typeof intruders)[number], string>>;
  let before: Holdings;

  beforeAll(async () => {
    const mesh = meshOf();
    doors = openDoors(mesh);
    world = await openAccessWorld(mesh);
    writes = await foreignWrites(mesh, world);
    tokens = {
      shopper: `Bearer ${await mesh.token({ wallet: world.stranger })}`,
      merchant: `Bearer ${await mesh.token({ merchant: "another-market" })}`,
    };
    before = await readHoldings(mesh);
  });

  it.each(methods.filter(isRead).map((method) => [nameOf(method), method] as const))(
    "%s tells a stranger nothing of another's, by whatever door",
    async (name, method) => {
      const secrets = world.secrets.filter(({ knownTo }) => !knownTo.includes("other shopper"));
      for (const question of questionsOf(world)[name] ?? []) {
        const asked = JSON.stringify(question);
        const ends = await Promise.all(
          doors.flatMap((door) =>
            intruders.map(async (intruder) => {
              const request = fromJson(method.input, question);
              const { said, error } = await door.call(method, request, tokens[intruder]);
              const infos = error?.findDetails(ErrorInfoSchema) ?? [];
              const told =
                said ??
                `${error?.message} ${infos.map(({ metadata }) => JSON.stringify(metadata))}`;
              // What was asked for by its name may be named in the refusal.
              const leaks = secrets.filter(
                ({ text }) => told.includes(text) && !asked.includes(text),
              );
              const fault = error === undefined ? undefined : faultOf(error);
              return [
                fault ?? [],
                leaks.map(({ what }) => `${door.name} tells a ${intruder} ${what}`),
              ];
            }),
          ),
        );
        expect(ends.flat(2), asked).toEqual([]);
      }
    },
  );

  it.each(
    methods.filter((method) => !isRead(method)).map((method) => [nameOf(method), method] as const),
  )("%s does nothing with another's, by whatever door", async (name, method) => {
    const init = writes[name] ?? (isOfNeither(method) ? {} : undefined);
    if (init === undefined) throw new Error(`say here what ${name} could do with another's`);
    for (const door of doors) {
      for (const intruder of intruders) {
        const { said, error } = await door.call(
          method,
          create(method.input, init),
          tokens[intruder],
        );
        const what = `${door.name}, a ${intruder}`;
        expect([what, said]).toEqual([what, undefined]);
        if (error === undefined) continue;
        expect([what, faultOf(error)]).toEqual([what, undefined]);
        expect([what, reasonIn(error)]).toEqual([what, refusalOf(name, intruder)]);
      }
    }
  });

  it("has moved and stored nothing by any of it", async () => {
    expect(await readHoldings(meshOf())).toEqual(before);
  });
}

/** What neither a shopper nor a merchant has the scope for needs no request that would be a good one of somebody else's. */
function isOfNeither(method: DescMethod): boolean {
  const held: readonly string[] = [...roles.shopper.scopes, ...roles.merchant.scopes];
  return !scopesOf(method).some((scope) => held.includes(scope));
}

/**
 * Whoever buys cancels, and a merchant refunds and fulfils, and each finds no order that is another's; all else is no scope of
 * theirs.
 */
function refusalOf(name: string, intruder: (typeof intruders)[number]): string {
  const isBuyers = name.endsWith("/CancelCheckout");
  const isMerchants = /\/(?:Refund|Fulfil)Checkout$/.test(name) && intruder === "merchant";
  return isBuyers || isMerchants ? "CHECKOUT_NOT_FOUND" : "SCOPE_MISSING";
}

/** For each RPC that writes, a request that its owner might make, with all that he would sign. */
async function foreignWrites(
  mesh: TestMesh,
  world: AccessWorld,
): Promise<Readonly<Record<string, Init>>> {
  const owner = mesh.wallet();
  const { transport, identity } = mesh.client();
  const attestor = createClient(AttestorService, transport);
  const milk = purchaseIntent("milk", owner.address);
  const signed = {
    intent: formatIntent(milk),
    walletSignature: signIntent(milk, owner, identity),
  };
  const { attestation } = await attestor.attest(signed);
  if (attestation === undefined) throw new Error("the owner was not attested");
  const attested = { intent: signed.intent, attestation };
  const order = { merchantId: world.merchantId, orderId: world.order.orderId };
  const ofOrder = { order, items: [{ sku: "MILK", quantity: 1 }], intentId: newUuidV7() };
  return {
    "AttestorService/Attest": signed,
    "AttestorService/AttestBatch": { requests: [signed] },
    "ClearingService/Clear": attested,
    "ClearingService/ClearBatch": { requests: [attested] },
    "ClearingService/OpenWallet": { wallet: owner.address, ledger: usd },
    "CheckoutService/CreateCheckout": {
      ...order,
      intentId: newUuidV7(),
      wallet: owner.address,
      items: [{ sku: "MILK", quantity: 1 }],
      paymentMethod: PaymentMethod.BALANCE,
    },
    "CheckoutService/CancelCheckout": { key: { case: "order", value: order } },
    "CheckoutService/RefundCheckout": ofOrder,
    "CheckoutService/FulfilCheckout": ofOrder,
    "CheckoutService/ReplayWebhookEvent": { eventId: "evt_1" },
  };
}
