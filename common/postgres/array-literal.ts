// A column of a batch as PostgreSQL's array literal. The driver's own conversion costs several times as much.

/** The array of a column, from its cells' own spelling. */
export function arrayLiteral<Item>(items: readonly Item[], cell: (item: Item) => string): string {
  return `{${items.map(cell).join(",")}}`;
}

/** `0x` hex as bytea inside of an array literal. */
export function byteaCell(hexText: string): string {
  return `"\\\\x${hexText.slice(2)}"`;
}

/** Any text inside of an array literal. */
export function textCell(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}
