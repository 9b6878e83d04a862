import { readFileSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import { ConnectError, createClient } from "@connectrpc/connect";
import { importJWK, type JWK, SignJWT } from "jose";
import { beforeAll, expect, it } from "vitest";
import { allScopes } from "#common/rpc/access/access.ts";
import { newUuidV7 } from "#common/uuid.ts";
import { PaymentMethod } from "#gen/sovr/checkout/v1/checkout_pb.ts";
import { CheckoutService } from "#gen/sovr/checkout/v1/checkout_service_pb.ts";
import { ClearingService } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { LedgerService } from "#gen/sovr/ledger/v1/ledger_service_pb.ts";
import { clearIntent } from "../../../cli/client/clear-intent.ts";
import { errorReason } from "../../../cli/client/errors.ts";
import { fundingIntent, usd } from "../../../cli/client/intents.ts";
import { keyFiles } from "../../../cli/state/keys.ts";
import { openDoors } from "../../support/abuse/doors.ts";
import { readHoldings } from "../../support/abuse/holdings.ts";
import { askRaw } from "../../support/abuse/raw-sockets.ts";
import type { TestMesh } from "../../support/mesh/mesh.ts";

/** What would be another line, if anybody wrote texts of strangers as they come. */
export const forgedLine = '{"level":"fatal","msg":"forged by an intruder"}';

/** Statements, formats and templates in printable ASCII, which an order's id may have. */
const hostile = [
  "'; drop table checkout_order; --",
  "' or '1'='1",
  "1; select pg_sleep(60)",
  "\\'; copy (select 1) to program 'id' --",
  "%s%n%x",
  `$${"{jndi:ldap://127.0.0.1/x}"}`,
  "{{7*7}}",
  "<script>alert(1)</script>",
  "../../../../etc/passwd",
  "__proto__",
  "$1",
];

/** Tests that texts of strangers stay texts: in the records, in the logs, in headers. */
export function testInjection(meshOf: () => TestMesh): void {
  let address: string;

  beforeAll(async () => {
    const mesh = meshOf();
    ({ address } = mesh.wallet());
    const clearing = createClient(ClearingService, mesh.client().transport);
    await clearing.openWallet({ wallet: address, ledger: usd });
  });

  it.each(hostile)("%s is an order's id and a reference like any other", async (text) => {
    const mesh = meshOf();
    const client = mesh.client();
    const before = Object.keys((await readHoldings(mesh)).rows);
    const checkout = createClient(CheckoutService, client.transport);
    const ids = { merchantId: text, orderId: text };
    await checkout.createCheckout({
      ...ids,
      intentId: newUuidV7(),
      wallet: address,
      items: [{ sku: "MILK", quantity: 1 }],
      paymentMethod: PaymentMethod.BALANCE,
    });
    const found = await checkout.getCheckout({ key: { case: "order", value: ids } });
    expect(found.checkout).toMatchObject({ order: ids });
    expect((await checkout.listCheckouts({ merchantId: text })).checkouts).toHaveLength(1);

    const funding = fundingIntent(1n, address, { reference: text });
    await clearIntent(client, funding);
    const { intentId } = funding;
    const { journalEntry } = await createClient(LedgerService, client.transport).getJournalEntry({
      intentId,
    });
    expect(journalEntry?.reference).toBe(text);
    expect(Object.keys((await readHoldings(mesh)).rows)).toEqual(before);
  });

  it.each(["\u0000", "\n", "\r\nx: y", "\u2028", "é", "\u001b[2J", "\u202e"])(
    "%j is no character of an id",
    async (text) => {
      const checkout = createClient(CheckoutService, meshOf().client().transport);
      const call = checkout.createCheckout({
        merchantId: "market",
        orderId: `A${text}1`,
        intentId: newUuidV7(),
        wallet: address,
        items: [{ sku: "MILK", quantity: 1 }],
        paymentMethod: PaymentMethod.BALANCE,
      });
      const error = await call.catch((thrown: unknown) => ConnectError.from(thrown));
      expect(error instanceof ConnectError ? errorReason(error) : "answered").toBe("INVALID_FIELD");
    },
  );

  it("a subject that would write lines of its own writes none", async () => {
    const mesh = meshOf();
    const authorization = `Bearer ${await tokenOf(mesh, `eve\n${forgedLine}\n\u001b[2J`)}`;
    for (const door of openDoors(mesh)) {
      // Refused, so that it is logged.
      const { error } = await door.call(
        LedgerService.method.getBalance,
        getBalance(),
        authorization,
      );
      expect([door.name, error && errorReason(error)]).toEqual([door.name, "INVALID_FIELD"]);
    }
  });

  it("a header that would write lines of its own writes none, and is sent back to nobody", async () => {
    const escaped = forgedLine.replaceAll('"', '\\"');
    for (const [name, value] of [
      ["x-request-id", `a" ${forgedLine}`],
      ["traceparent", forgedLine],
      ["user-agent", escaped],
      ["connect-timeout-ms", forgedLine],
      ["grpc-timeout", forgedLine],
      ["x-forwarded-for", `${forgedLine}, 127.0.0.1`],
      ["content-type", `application/json; charset="${escaped}"`],
      ["sovr-client-address", forgedLine],
    ]) {
      const answer = await askRaw(
        meshOf().address,
        `POST /sovr.ledger.v1.LedgerService/ListAssets HTTP/1.1\r\nhost: mesh\r\nconnection: close\r\n${name}: ${value}\r\ncontent-length: 2\r\n\r\n{}`,
      );
      expect(answer, name).toMatch(/^HTTP\/1\.1 4\d\d/);
      const [head = ""] = answer.split("\r\n\r\n");
      if (name !== "x-request-id") expect(head, name).not.toContain("forged");
    }
  });
}

function getBalance() {
  return create(LedgerService.method.getBalance.input, { accountId: "no id" });
}

/** A good token whose subject is any text, as an issuer that is not careful might write it. */
async function tokenOf({ settings }: TestMesh, subject: string): Promise<string> {
  const jwk = JSON.parse(readFileSync(keyFiles(settings).issuer, "utf8")) as JWK;
  return new SignJWT({ scope: allScopes.join(" ") })
    .setProtectedHeader({ alg: "EdDSA", kid: jwk.kid ?? "" })
    .setSubject(subject)
    .setIssuer(settings.jwt.issuer)
    .setAudience(settings.jwt.audience)
    .setIssuedAt()
    .setExpirationTime("5 minutes")
    .sign(await importJWK(jwk, "EdDSA"));
}
