import { type Book as BookProto, RoundingSchema } from "#gen/sovr/book/v1/book_pb.ts";
import type {
  BookAccount,
  BookAsset,
  BookFee,
  BookGood,
  BookMerchant,
  BookProduct,
} from "../book.ts";
import { type Reading, wordOf } from "./reading.ts";

/** Reads who sells. */
export function readMerchants({ merchants }: BookProto, reading: Reading): readonly BookMerchant[] {
  reading.unique(merchants, "merchants", "id", ({ id }) => id);
  return merchants.map(({ id, title, honoringAgent }, index) => {
    const field = `merchants[${index}].honoring_agent`;
    const agent = findOptional(honoringAgent, field, reading);
    return { id, title, honoringAgent: agent };
  });
}

/** Reads what is sold. */
export function readProducts(proto: BookProto, reading: Reading): readonly BookProduct[] {
  const { products, merchants } = proto;
  reading.unique(products, "products", "sku", ({ sku }) => sku);
  const sellers = new Map(merchants.map(({ id }) => [id, id]));
  return products.flatMap((product, index) => {
    const field = `products[${index}]`;
    const asset = reading.find(reading.assets, product.asset, `${field}.asset`, "asset");
    reading.unique(product.goods, `${field}.goods`, "account", ({ account }) => account);
    reading.findAll(sellers, product.merchants, `${field}.merchants`, "merchant");
    const goods = product.goods.flatMap(({ name, account, amount }, place): readonly BookGood[] => {
      const path = `${field}.goods[${place}]`;
      const found = findIn(account, asset, `${path}.account`, reading);
      const minor = reading.minorUnits(amount, asset, `${path}.amount`) ?? 0n;
      if (minor === 0n) reading.wrong(`${path}.amount`, "must be more than 0");
      return found === undefined ? [] : [{ name, account: found, amount: minor }];
    });
    if (asset === undefined) return [];
    const { sku, name, description, picture, retired } = product;
    return [
      { sku, name, description, asset, goods, picture, merchants: product.merchants, retired },
    ];
  });
}

/** Reads what is taken of sales. */
export function readFees({ fees }: BookProto, reading: Reading): readonly BookFee[] {
  reading.unique(fees, "fees", "name", ({ name }) => name);
  return fees.flatMap((fee, index) => {
    const field = `fees[${index}]`;
    const rule = reading.find(reading.rules, fee.rule, `${field}.rule`, "rule");
    const asset = reading.find(reading.assets, fee.asset, `${field}.asset`, "asset");
    const payer = findOptional(fee.payer, `${field}.payer`, reading);
    const chargedTo = findIn(fee.chargedTo, asset, `${field}.charged_to`, reading);
    const fixed = reading.minorUnits(fee.fixed, asset, `${field}.fixed`) ?? 0n;
    const [whole = "0", places = ""] = (fee.percent || "0").split(".");
    const percentMillionths = BigInt(whole + places.padEnd(6, "0"));
    if (percentMillionths === 0n && fixed === 0n) reading.wrong(field, "takes nothing");
    if (rule === undefined || asset === undefined || chargedTo === undefined) return [];
    const rounding = wordOf<BookFee["rounding"]>(RoundingSchema, fee.rounding);
    return [{ name: fee.name, rule, asset, percentMillionths, fixed, rounding, payer, chargedTo }];
  });
}

function findOptional(name: string, field: string, reading: Reading): BookAccount | undefined {
  return name === "" ? undefined : reading.find(reading.accounts, name, field, "account");
}

/** An account that stands in an asset. */
function findIn(
  name: string,
  asset: BookAsset | undefined,
  field: string,
  reading: Reading,
): BookAccount | undefined {
  const account = reading.find(reading.accounts, name, field, "account");
  if (account !== undefined && asset !== undefined && !account.assets.includes(asset))
    reading.wrong(field, `${name} does not stand in ${asset.code}`);
  return account;
}
