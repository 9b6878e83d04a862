import { useQuery } from "@connectrpc/connect-query";
import { CheckoutService } from "#gen/sovr/checkout/v1/checkout_service_pb.ts";
import type { Product } from "#gen/sovr/checkout/v1/product_pb.ts";
import { explain, type Problem } from "../mesh/problem.ts";

/** What can be bought, as Checkout lists it. */
export function useProducts(): {
  /** In the order of the shelf; empty until they are known. */
  readonly products: readonly Product[];
  readonly problem: Problem | undefined;
  readonly retry: () => void;
} {
  const { data, error, refetch } = useQuery(CheckoutService.method.listProducts, {});
  return {
    products: data?.products ?? none,
    problem: error === null ? undefined : explain(error),
    retry: () => void refetch(),
  };
}

/** One and the same, so that nobody looks again for nothing. */
const none: readonly Product[] = [];
