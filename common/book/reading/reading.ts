import type { DescEnum } from "@bufbuild/protobuf";
import type { Place, PlaceOf, YamlProblem } from "#common/yaml/read-yaml.ts";
import type { BookAccount, BookAsset, BookClass, BookRule } from "../book.ts";

/** The name of an enum's value without its prefix, "" for one that is not there. */
export function wordOf<Word extends string>(schema: DescEnum, number: number): Word {
  return (schema.value[number]?.localName ?? "") as Word;
}

/** What is wrong in one book is told in one go, but not without end. */
const problemsMax = 100;

/** A book while it is read: what was found wrong, and what its names stand for. */
export class Reading {
  readonly problems: YamlProblem[] = [];
  readonly assets = new Map<string, BookAsset>();
  readonly classes = new Map<string, BookClass>();
  readonly accounts = new Map<string, BookAccount>();
  readonly rules = new Map<string, BookRule>();
  readonly #placeOf: PlaceOf;

  constructor(placeOf: PlaceOf) {
    this.#placeOf = placeOf;
  }

  /** Notes what is wrong with a field, by its path in the names of the proto. */
  wrong(field: string, description: string): void {
    if (this.problems.length >= problemsMax) return;
    const place: Place = this.#placeOf(field);
    this.problems.push({ ...place, field, description });
  }

  /** What a name stands for; notes a name that stands for nothing. `what`: "account". */
  find<Named>(
    known: ReadonlyMap<string, Named>,
    name: string,
    field: string,
    what: string,
  ): Named | undefined {
    const found = known.get(name);
    if (found === undefined) this.wrong(field, `there is no ${what} ${name}`);
    return found;
  }

  /** What those names stand for that stand for something. */
  findAll<Named>(
    known: ReadonlyMap<string, Named>,
    names: readonly string[],
    field: string,
    what: string,
  ): readonly Named[] {
    return names.flatMap((name, index) => {
      const found = this.find(known, name, `${field}[${index}]`, what);
      return found === undefined ? [] : [found];
    });
  }

  /** Notes each value that was there before. `key`: the field's last step. */
  unique<Item>(
    items: readonly Item[],
    field: string,
    key: string,
    keyOf: (item: Item) => string | number,
  ): void {
    const seen = new Set<string | number>();
    for (const [index, item] of items.entries()) {
      const value = keyOf(item);
      if (seen.has(value)) this.wrong(`${field}[${index}].${key}`, `${value} stands there twice`);
      seen.add(value);
    }
  }

  /** A decimal of whole units, in minor units; undefined for "". Notes more decimals than the asset has. */
  minorUnits(text: string, asset: BookAsset | undefined, field: string): bigint | undefined {
    if (text === "") return undefined;
    const [whole = "", fraction = ""] = text.split(".");
    const scale = asset?.scale ?? fraction.length;
    if (fraction.length > scale) this.wrong(field, `${asset?.code} has ${scale} decimals`);
    return BigInt(whole + fraction.slice(0, scale).padEnd(scale, "0"));
  }
}
