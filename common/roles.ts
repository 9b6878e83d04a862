/** What a kind of caller may do. The one place where that is said; docs/access.md is made of it and of the RPCs' scopes. */
export interface Role {
  /** Who that is. */
  readonly who: string;
  /** The claim that narrows its tokens to what is its own; undefined sees and does everything that its scopes say. */
  readonly boundBy: "wallet" | "merchant" | undefined;
  /** Empty for services: what each of them needs stands with its key. */
  readonly scopes: readonly string[];
}

const viewerScopes = ["ledger.read", "events.read", "reflection"] as const;

/** The roles. None but a service holds `attest.house`: people propose house intents, and others decide. */
export const roles = {
  shopper: {
    who: "holds a wallet: reads and spends what is in it",
    boundBy: "wallet",
    scopes: [
      "ledger.read",
      "events.read",
      "attest",
      "clearing.write",
      "wallet.open",
      "checkout.buy",
    ],
  },
  merchant: {
    who: "sells: sees, refunds and fulfils what names it, and buys for others in its own orders",
    boundBy: "merchant",
    scopes: ["ledger.read", "events.read", "checkout.buy", "checkout.refund"],
  },
  viewer: { who: "sees everything, changes nothing", boundBy: undefined, scopes: viewerScopes },
  auditor: {
    who: "as viewer, by another name in the logs",
    boundBy: undefined,
    scopes: viewerScopes,
  },
  support: {
    who: "helps shoppers: refunds, fulfils, replays webhooks",
    boundBy: undefined,
    scopes: [...viewerScopes, "checkout.refund", "checkout.admin"],
  },
  treasurer: {
    who: "proposes intents of the house",
    boundBy: undefined,
    scopes: [...viewerScopes, "attest.propose"],
  },
  approver: {
    who: "decides on what others propose",
    boundBy: undefined,
    scopes: [...viewerScopes, "attest.decide"],
  },
  operator: {
    who: "runs the mesh",
    boundBy: undefined,
    scopes: [...viewerScopes, "checkout.admin", "clearing.batch"],
  },
  service: { who: "a program with a key of its own", boundBy: undefined, scopes: [] },
} as const satisfies Readonly<Record<string, Role>>;

export type RoleName = keyof typeof roles;

/** The roles that a provider of identities may give to people: the others are bound, or a program's. */
export const personRoles = [
  "viewer",
  "auditor",
  "support",
  "treasurer",
  "approver",
  "operator",
] as const satisfies readonly RoleName[];

/** All that whoever has signed in may be let do: what the key of a sign-in is good for. */
export const signInScopes: readonly string[] = [
  ...new Set([...personRoles, "shopper" as const].flatMap((name) => roles[name].scopes)),
].sort();

/** The role of a name, or undefined. */
export function findRole(name: string): Role | undefined {
  return Object.hasOwn(roles, name) ? roles[name as RoleName] : undefined;
}

/** The services of this mesh that sign tokens of their own, and what each needs at its peers. */
export const serviceScopes = {
  checkout: ["attest.house", "attest", "clearing.write", "wallet.open"],
  "development-faucet": ["attest.house", "clearing.write", "wallet.open"],
} as const satisfies Readonly<Record<string, readonly string[]>>;
