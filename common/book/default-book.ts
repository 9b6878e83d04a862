import { readFileSync } from "node:fs";
import type { Book } from "./book.ts";
import { readBook } from "./read-book.ts";

/** The business that the mesh runs: the guide's. Throws what is wrong in its file, at the start. */
export const defaultBook: Book = readBook(
  readFileSync(new URL("../../books/sovr/0001.yaml", import.meta.url)),
);
