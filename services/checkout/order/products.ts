import { chartAccounts } from "#common/ledger/chart.ts";

/** Everything is priced in dollars. */
export const usd = 1;

/** What one unit of a product owes in one good. */
export interface Good {
  readonly name: string;
  /** The obligation's account in the chart. */
  readonly accountId: bigint;
  readonly accountName: string;
  /** Cents for one unit. */
  readonly unitAmount: bigint;
}

/** Something that can be bought: data, from which prices and postings follow. */
export interface Product {
  readonly sku: string;
  readonly name: string;
  readonly description: string;
  readonly goods: readonly Good[];
}

const milk = good("MILK", 350n);
const eggs = good("EGGS", 250n);
const bread = good("BREAD", 150n);

/** All that can be bought, in the order of the shelf. Names and prices are those of the guide that this implements. */
export const products: readonly Product[] = [
  { sku: "MILK", name: "Milk", description: "One litre, whole", goods: [milk] },
  { sku: "EGGS", name: "Eggs", description: "Half a dozen", goods: [eggs] },
  { sku: "BREAD", name: "Bread", description: "A loaf of wheat", goods: [bread] },
  {
    sku: "BUNDLE",
    name: "The bundle",
    description: "Milk, eggs and bread, in one atomic clearing",
    goods: [milk, eggs, bread],
  },
];

const bySku = new Map(products.map((product) => [product.sku, product]));

/** The product of a SKU, or undefined. */
export function findProduct(sku: string): Product | undefined {
  return bySku.get(sku);
}

/** Cents for one unit. */
export function priceOf({ goods }: Product): bigint {
  return goods.reduce((sum, { unitAmount }) => sum + unitAmount, 0n);
}

function good(name: string, unitAmount: bigint): Good {
  const accountName = `${name}_OBLIGATION`;
  const account = chartAccounts.find(
    (candidate) => candidate.name === accountName && candidate.ledger === usd,
  );
  if (account === undefined) throw new RangeError(`the chart of accounts has no ${accountName}`);
  return { name, accountId: account.id, accountName, unitAmount };
}
