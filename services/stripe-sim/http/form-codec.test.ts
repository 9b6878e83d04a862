// Goal: forms mean what Stripe's SDK means by them, and nothing can be smuggled in. Method: pairs of texts and values, random ones too.
import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeForm, FormError, type FormMap, type FormValue } from "./form-codec.ts";

/** Maps of a form have no prototype; to compare them they get one. */
const read = (text: string): unknown => JSON.parse(JSON.stringify(decodeForm(text)));

test.each([
  ["", {}],
  ["a=1&b=", { a: "1", b: "" }],
  ["a=b+c%26d", { a: "b c&d" }],
  ["metadata[a]=1&metadata[b]=2", { metadata: { a: "1", b: "2" } }],
  ["expand[]=x&expand[]=y", { expand: ["x", "y"] }],
  ["expand[1]=y&expand[0]=x", { expand: ["x", "y"] }],
  ["metadata[7]=x", { metadata: { 7: "x" } }],
  ["card[number]=4&card[a][b]=c", { card: { number: "4", a: { b: "c" } } }],
  ["a=1&a=2", { a: "2" }],
])("%s is %o", (text, value) => {
  expect(read(text)).toEqual(value);
});

test("a name of the language is a name like any other", () => {
  const form = decodeForm("__proto__[polluted]=yes&constructor=x");
  expect(Object.keys(form)).toEqual(["__proto__", "constructor"]);
  expect({}).not.toHaveProperty("polluted");
});

test.each([
  "a[=1",
  "[a]=1",
  "a]b=1",
  "a=1&a[b]=2",
  "a[b]=2&a=1",
  `a${"[b]".repeat(8)}=1`,
  Array.from({ length: 101 }, (_, index) => `a[${index}]=x`).join("&"),
  Array.from({ length: 1_001 }, (_, index) => `a${index}=x`).join("&"),
])("%.30s is refused", (text) => {
  expect(() => decodeForm(text)).toThrow(FormError);
});

/** Writes what `decodeForm` reads, lists with their numbers, as the SDK does. */
function encodeForm(form: FormMap): string {
  const pairs = new URLSearchParams();
  const add = (name: string, value: FormValue): void => {
    if (typeof value === "string") pairs.append(name, value);
    else for (const [key, item] of Object.entries(value)) add(`${name}[${key}]`, item);
  };
  for (const [key, value] of Object.entries(form)) add(key, value);
  return pairs.toString();
}

test("what is written is read", () => {
  const name = fc.stringMatching(/^[a-z_]{1,12}$/);
  const text = fc.string();
  const list = fc.array(text, { minLength: 1, maxLength: 5 });
  const map = fc.dictionary(name, fc.oneof(text, list), { minKeys: 1, maxKeys: 5 });
  fc.assert(
    fc.property(fc.dictionary(name, fc.oneof(text, list, map)), (form) => {
      expect(read(encodeForm(form))).toEqual(JSON.parse(JSON.stringify(form)));
    }),
  );
});
