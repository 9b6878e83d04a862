import { randomInt } from "node:crypto";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { addressOfPrivateKey } from "#common/intent/signature.ts";
import { newUuidV7 } from "#common/uuid.ts";
import { CheckoutState, PaymentMethod } from "#gen/sovr/checkout/v1/checkout_pb.ts";
import {
  CreateCheckoutRequestSchema,
  CreateCheckoutResponseSchema,
} from "#gen/sovr/checkout/v1/checkout_service_pb.ts";

/** A new order of the bundle, by card, of one of the wallets. Keys are 32 bytes as hex. */
export function newCardOrder(walletKeys: readonly string[]) {
  const key = walletKeys[randomInt(walletKeys.length)] ?? "";
  const intentId = newUuidV7();
  return create(CreateCheckoutRequestSchema, {
    intentId,
    wallet: addressOfPrivateKey(Buffer.from(key, "hex")),
    merchantId: "bench",
    orderId: intentId,
    items: [{ sku: "BUNDLE", quantity: 1 }],
    paymentMethod: PaymentMethod.CARD,
  });
}

/** A CreateCheckoutRequest as it goes over the wire. */
export function encodeCreateCheckout(walletKeys: readonly string[]): Buffer {
  return Buffer.from(toBinary(CreateCheckoutRequestSchema, newCardOrder(walletKeys)));
}

/** Throws unless the answer is one that can be paid. */
export function checkCreated(answer: Buffer): void {
  const { checkout, clientSecret } = fromBinary(CreateCheckoutResponseSchema, answer);
  if (checkout?.state !== CheckoutState.AWAITING_PAYMENT || clientSecret === "") {
    throw new Error("the checkout cannot be paid");
  }
}
