import type { Product } from "#gen/sovr/checkout/v1/product_pb.ts";

export interface OrderItem {
  readonly sku: string;
  /** 1 to 10,000. */
  readonly quantity: number;
}

/** The most of one product in a basket. Checkout would take more, but nobody's kitchen does. */
export const quantityMax = 99;

/** Whose shop this is. */
export const merchantId = "sovr-market";

/** What one unit costs, in cents. */
export function priceOf({ price }: Product): bigint {
  return BigInt(price?.amount ?? 0);
}

/** What items cost together, in cents. A product that is sold no more costs nothing here, and Checkout refuses it. */
export function amountOf(items: readonly OrderItem[], products: readonly Product[]): bigint {
  return items.reduce((sum, { sku, quantity }) => {
    const product = products.find((candidate) => candidate.sku === sku);
    return product === undefined ? sum : sum + priceOf(product) * BigInt(quantity);
  }, 0n);
}

const article = /^the /i;

/** What was bought, in words, such as "2 × Milk and the bundle". `products`: as far as they are known. */
export function itemsInWords(
  items: readonly OrderItem[],
  products: readonly Product[] = [],
): string {
  const names = items.map(({ sku, quantity }, index) => {
    const name = products.find((product) => product.sku === sku)?.name ?? nameOf(sku);
    if (quantity > 1) return `${quantity} × ${name.replace(article, "")}`;
    return index === 0 ? name : name.replace(article, "the ");
  });
  return new Intl.ListFormat("en").format(names);
}

/** A name for a product that is not known by another. */
function nameOf(sku: string): string {
  return sku.charAt(0) + sku.slice(1).toLowerCase().replaceAll("_", " ");
}
