import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { create, type DescMethod, getOption } from "@bufbuild/protobuf";
import { importJWK, type JWK, SignJWT } from "jose";
import { afterAll, beforeAll, expect, it } from "vitest";
import { contracts } from "#common/contracts.ts";
import { serviceScopes } from "#common/roles.ts";
import { allScopes, scopesOf } from "#common/rpc/access/access.ts";
import { access } from "#gen/sovr/common/v1/access_pb.ts";
import { keyFiles } from "../../../cli/state/keys.ts";
import { type Door, openDoors } from "../../support/abuse/doors.ts";
import { type Forgery, forgeries } from "../../support/abuse/forgeries.ts";
import type { TestMesh } from "../../support/mesh/mesh.ts";
import { faultOf, reasonIn } from "../../support/walk/judge.ts";

const methods = contracts.flatMap((service) => service.methods);
const nameOf = (method: DescMethod) => `${method.parent.name}/${method.name}`;
/** ABUSE_WALK=full: every forgery on every method by every door. Else each forgery by one door of each method, by turns. */
const isFull = process.env["ABUSE_WALK"] === "full";

/** Tests that no forged credential opens anything. `onForged` hears of each that was sent. */
export function testCredentials(meshOf: () => TestMesh, onForged: (token: string) => void): void {
  let doors: readonly Door[];
  let forged: readonly Forgery[];
  let forgersKeys: Server;
  let wasAsked = 0;

  beforeAll(async () => {
    forgersKeys = createServer((_, response) => {
      wasAsked += 1;
      response.end("{}");
    });
    await new Promise<void>((resolve) => forgersKeys.listen(0, "127.0.0.1", resolve));
    const { port } = forgersKeys.address() as AddressInfo;
    doors = openDoors(meshOf());
    forged = forgeries(meshOf(), `http://127.0.0.1:${port}/jwks.json`);
    for (const { authorization } of forged) onForged(authorization.slice("Bearer ".length));
  });
  afterAll(() => forgersKeys.close());

  it.each(methods.map((method, index) => [nameOf(method), method, index] as const))(
    "%s opens to no credential that is forged, expired, foreign or confused",
    async (_name, method, index) => {
      const tries = forged.flatMap((forgery, turn) =>
        doorsOf(doors, index + turn).map((door) => ({ forgery, door })),
      );
      const strange = await Promise.all(
        tries.map(async ({ forgery, door }) => {
          const { said, error } = await door.call(
            method,
            create(method.input),
            forgery.authorization,
          );
          const how = `a token ${forgery.name}, ${door.name}`;
          if (error === undefined) return `${how}: answered ${said}`;
          const fault = faultOf(error);
          if (fault !== undefined) return `${how}: ${fault}`;
          const reason = reasonIn(error);
          return reason === "CREDENTIALS_INVALID" ? undefined : `${how}: ${reason}`;
        }),
      );
      expect(strange.filter((each) => each !== undefined)).toEqual([]);
    },
  );

  it("asks nobody for keys that a token names", () => expect(wasAsked).toBe(0));

  it.each(methods.map((method) => [nameOf(method), method] as const))(
    "%s opens to a service's key for what its entry names and no more",
    async (_name, method) => {
      const authorization = `Bearer ${await ofCheckout(meshOf())}`;
      const allowed: readonly string[] = serviceScopes.checkout;
      const { unboundOnly } = getOption(method, access);
      const isAllowed = scopesOf(method).some((scope) => allowed.includes(scope));
      expect(isAllowed && unboundOnly).toBe(false);
      for (const door of doors) {
        const { error } = await door.call(method, create(method.input), authorization);
        const reason = error === undefined ? "answered" : reasonIn(error);
        expect([door.name, reason === "SCOPE_MISSING"]).toEqual([door.name, !isAllowed]);
        expect(reason).not.toBe("CREDENTIALS_INVALID");
      }
    },
  );
}

/** All of them, or the one whose turn it is. */
function doorsOf(doors: readonly Door[], turn: number): readonly Door[] {
  if (isFull) return doors;
  const start = turn % doors.length;
  return doors.slice(start, start + 1);
}

/** A token that Checkout's key signs, and that claims everything. */
async function ofCheckout({ settings }: TestMesh): Promise<string> {
  const jwk = JSON.parse(readFileSync(keyFiles(settings).checkout, "utf8")) as JWK;
  return new SignJWT({ scope: allScopes.join(" ") })
    .setProtectedHeader({ alg: "EdDSA", kid: jwk.kid ?? "" })
    .setSubject("checkout")
    .setIssuer(settings.jwt.issuer)
    .setAudience(settings.jwt.audience)
    .setIssuedAt()
    .setExpirationTime("5 minutes")
    .sign(await importJWK(jwk, "EdDSA"));
}
