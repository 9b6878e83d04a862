import { type Book as BookProto, RoleNameSchema } from "#gen/sovr/book/v1/book_pb.ts";
import type { Book } from "../book.ts";
import { type Reading, wordOf } from "./reading.ts";

/** Reads which rules and accounts services use by themselves. A role of an account ends in _ACCOUNT. */
export function readRoles({ roles }: BookProto, reading: Reading): Book["roles"] {
  reading.unique(roles, "roles", "role", ({ role }) => wordOf(RoleNameSchema, role));
  return new Map(
    roles.flatMap(({ role, is }, index) => {
      const name = wordOf<string>(RoleNameSchema, role);
      const field = `roles[${index}].is`;
      const found = name.endsWith("_ACCOUNT")
        ? reading.find(reading.accounts, is, field, "account")
        : reading.find(reading.rules, is, field, "rule");
      return found === undefined ? [] : [[name, found] as const];
    }),
  );
}
