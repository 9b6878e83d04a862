import { serviceNames } from "#common/service-names.ts";
import { envoyPart } from "./envoy.ts";
import { identityPart, runsIdentity } from "./identity.ts";
import type { Mesh, Part } from "./part.ts";
import { postgresPart } from "./postgres.ts";
import { servicePart } from "./service.ts";
import { withoutStripe } from "./stripe-environment.ts";
import { stripeSimPart } from "./stripe-sim.ts";
import { studioPart } from "./studio.ts";
import { tigerbeetleParts } from "./tigerbeetle.ts";

/** The parts of a mesh, each after what it depends on. `onInstall` is told before something is downloaded. */
export function meshParts(
  given: Mesh,
  onInstall: (what: string) => void = () => undefined,
): Part[] {
  const user = given.environment;
  const mesh = { ...given, environment: withoutStripe(user) };
  const { stripeSim } = mesh.settings.ports;
  return [
    postgresPart(mesh),
    ...tigerbeetleParts(mesh),
    ...serviceNames.map((name) => servicePart(mesh, name, user)),
    ...(stripeSim === undefined ? [] : [stripeSimPart(mesh, stripeSim)]),
    ...(runsIdentity(mesh.settings) ? [identityPart(mesh)] : []),
    studioPart(mesh, user, onInstall),
    envoyPart(mesh, onInstall),
  ];
}
