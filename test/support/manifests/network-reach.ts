import { type Labels, type Manifest, ofKind, type Selector, selects } from "./manifests.ts";

interface Peer {
  readonly podSelector?: Selector;
  readonly namespaceSelector?: Selector;
  readonly ipBlock?: { readonly cidr: string };
}

interface Rule {
  readonly from?: readonly Peer[];
  readonly to?: readonly Peer[];
  readonly ports?: readonly { readonly protocol: string; readonly port: number }[];
}

interface PolicySpec {
  readonly podSelector: Selector;
  readonly policyTypes: readonly ("Ingress" | "Egress")[];
  readonly ingress?: readonly Rule[];
  readonly egress?: readonly Rule[];
}

/** Whether the policies of the pod that is called let another pod open a TCP connection to it. */
export function admits(
  manifests: readonly Manifest[],
  from: Labels,
  to: Labels,
  port: number,
): boolean {
  return allows(policiesOf(manifests), "Ingress", to, port, (peer) => isPod(peer, from));
}

/** Whether the policies of the pod that calls let it open a TCP connection to another pod. */
export function mayCall(
  manifests: readonly Manifest[],
  from: Labels,
  to: Labels,
  port: number,
): boolean {
  return allows(policiesOf(manifests), "Egress", from, port, (peer) => isPod(peer, to));
}

/** The address blocks that a pod may speak to at a TCP port. */
export function blocksReached(
  manifests: readonly Manifest[],
  from: Labels,
  port: number,
): readonly string[] {
  return policiesOf(manifests)
    .filter((policy) => selects(policy.podSelector, from))
    .flatMap((policy) => policy.egress ?? [])
    .filter((rule) => opens(rule, port))
    .flatMap((rule) => rule.to ?? [])
    .flatMap((peer) => (peer.ipBlock === undefined ? [] : [peer.ipBlock.cidr]));
}

/** Whether an IPv4 address lies in a block, such as 10.0.0.0/8. */
export function isInBlock(address: string, cidr: string): boolean {
  const [network = "", bits = "32"] = cidr.split("/");
  const size = 2 ** (32 - Number(bits));
  return Math.floor(numberOf(address) / size) === Math.floor(numberOf(network) / size);
}

function numberOf(address: string): number {
  return address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
}

function policiesOf(manifests: readonly Manifest[]): readonly PolicySpec[] {
  return ofKind(manifests, "NetworkPolicy").map(({ spec }) => spec as PolicySpec);
}

function allows(
  policies: readonly PolicySpec[],
  direction: "Ingress" | "Egress",
  pod: Labels,
  port: number,
  matches: (peer: Peer) => boolean,
): boolean {
  const mine = policies.filter(
    (policy) => policy.policyTypes.includes(direction) && selects(policy.podSelector, pod),
  );
  // A pod that no policy selects is open to all.
  if (mine.length === 0) return true;
  return mine
    .flatMap((policy) => (direction === "Ingress" ? policy.ingress : policy.egress) ?? [])
    .filter((rule) => opens(rule, port))
    .some((rule) => {
      const peers = direction === "Ingress" ? rule.from : rule.to;
      return peers === undefined || peers.some(matches);
    });
}

function opens(rule: Rule, port: number): boolean {
  const { ports } = rule;
  return ports === undefined || ports.some((one) => one.protocol === "TCP" && one.port === port);
}

/** Pods of other namespaces are none of ours, whatever their labels. */
function isPod(peer: Peer, labels: Labels): boolean {
  if (peer.namespaceSelector !== undefined || peer.podSelector === undefined) return false;
  return selects(peer.podSelector, labels);
}
