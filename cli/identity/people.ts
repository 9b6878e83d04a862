import { personRoles } from "#common/roles.ts";

/** Somebody who can be chosen at the provider of identities for development. */
export interface Person {
  /** What the provider calls the person: the same for ever. */
  readonly id: string;
  readonly name: string;
  readonly roles: readonly string[];
}

const names: Readonly<Record<(typeof personRoles)[number], string>> = {
  viewer: "Vera Viewer",
  auditor: "Aziz Auditor",
  support: "Sam Support",
  treasurer: "Tess Treasurer",
  approver: "Abel Approver",
  operator: "Olu Operator",
};

/** One for each role of people, one with two, and one with none, who is let in nowhere. */
export const people: readonly Person[] = [
  ...personRoles.map((role) => ({ id: role, name: names[role], roles: [role] })),
  { id: "two", name: "Toni of Two Roles", roles: ["support", "operator"] },
  { id: "nobody", name: "Nora Nobody", roles: [] },
];

export function findPerson(id: string): Person | undefined {
  return people.find((person) => person.id === id);
}
