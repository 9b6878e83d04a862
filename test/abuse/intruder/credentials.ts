import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { create, type DescMethod, getOption } from "@bufbuild/protobuf";
import { importJWK, type JWK, SignJWT } from "jose";
import { afterAll, beforeAll, expect, it } from "vitest";
import { contracts } from "#common/contracts.ts";
import { serviceScopes } from "#common/roles.ts";
import { allScopes, scopesOf } from "#common/rpc/access/access.ts";
import { AttestorService } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import { access } from "#gen/sovr/common/v1/access_pb.ts";
import { edgeLimits } from "../../../cli/parts/edge-limits.ts";
import { keyFiles } from "../../../cli/state/keys.ts";
import { type Door, type DoorAnswer, openDoors } from "../../support/abuse/doors.ts";
import { type Forgery, forgeries } from "../../support/abuse/forgeries.ts";
import { http2Call, http2Start, openSocket } from "../../support/abuse/raw-sockets.ts";
import type { TestMesh } from "../../support/mesh/mesh.ts";
import { faultOf, reasonIn } from "../../support/walk/judge.ts";

const methods = contracts.flatMap((service) => service.methods);
const nameOf = (method: DescMethod) => `${method.parent.name}/${method.name}`;
/** ABUSE_WALK=full: every forgery on every method by every door. Else each forgery by one door of each method, by turns. */
const isFull = process.env["ABUSE_WALK"] === "full";

/** How often a call is sent that comes too early. */
const attemptsMax = 60;

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
          const { said, error } = await patiently(() =>
            door.call(method, create(method.input), forgery.authorization),
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

  it("a flood of tokens that are no good is refused at the edge, and good ones pass", async () => {
    const { address, settings } = meshOf();
    const edge = doors.find(({ name }) => name === "gRPC at the edge");
    const { getDomain } = AttestorService.method;
    // Four times what may come at once, a hundred in one write: faster than a bucket fills, however slow this machine is.
    const connections = (4 * edgeLimits.anonymousOfAddress.burst) / callsOfFlood;
    const floods = await Promise.all(
      Array.from({ length: connections }, async () => {
        const socket = await openSocket(address);
        socket.resume().write(badCalls(getDomain));
        return socket;
      }),
    );
    const refused = async () => {
      const stats = `http://${settings.host}:${settings.ports.envoyAdmin}/stats?filter=wallet.http_local`;
      const text = await (await fetch(stats)).text();
      return Number(/rate_limited: (\d+)/.exec(text)?.[1] ?? 0);
    };
    await expect.poll(refused).toBeGreaterThan(0);
    for (const socket of floods) socket.destroy();
    const good = `Bearer ${await meshOf().token({ scopes: ["ledger.read"] })}`;
    const end = await edge?.call(getDomain, create(getDomain.input), good);
    expect(end?.said).toBeDefined();
  });

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

/** May be sent again: too many came, or Envoy refused them before it had read them, and closed the connection. */
const passing = ["RATE_LIMITED", "EDGE_UNAVAILABLE"];

/** The answer to a call that is sent again while there are too many: in a full walk there are. */
async function patiently(call: () => Promise<DoorAnswer>): Promise<DoorAnswer> {
  for (let attempt = 0; ; attempt += 1) {
    const end = await call();
    const isTooMany = end.error !== undefined && passing.includes(reasonIn(end.error));
    if (!isTooMany || attempt === attemptsMax) return end;
    await sleep(1_000);
  }
}

const callsOfFlood = 100;

/** A connection's worth of calls with tokens that are no good, as bytes. */
function badCalls({ parent, name }: DescMethod): Buffer {
  const calls = Array.from({ length: callsOfFlood }, (_, index) =>
    http2Call(2 * index + 1, {
      path: `/${parent.typeName}/${name}`,
      "content-type": "application/grpc",
      authorization: `Bearer e30.e30.${index}`,
    }),
  );
  return Buffer.concat([http2Start, ...calls]);
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
