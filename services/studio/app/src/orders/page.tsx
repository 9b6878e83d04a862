import { useInfiniteQuery } from "@connectrpc/connect-query";
import { Button, Skeleton, Title } from "@mantine/core";
import { PackageOpen } from "lucide-react";
import { useEffect, useState } from "react";
import type { Checkout } from "#gen/sovr/checkout/v1/checkout_pb.ts";
import {
  CheckoutService,
  type ListCheckoutsResponse,
} from "#gen/sovr/checkout/v1/checkout_service_pb.ts";
import { useProducts } from "../goods/use-products.ts";
import { explain } from "../mesh/problem.ts";
import { useMesh } from "../mesh-context.tsx";
import { CheckoutDialog, type Chosen } from "../purchase/checkout-dialog.tsx";
import { isEnd } from "../purchase/purchase.ts";
import { ProblemBox } from "../shell/problem-box.tsx";
import { hrefs } from "../shell/route.ts";
import { useStore } from "../store.ts";
import classes from "./page.module.css";
import { OrderRow } from "./row.tsx";

const pageSize = 20;
/** How soon a change shows of an order that is not at its end and of which no event comes. */
const refetchMs = 2_000;

/** The wallet's orders, newest first, as they stand. `intentId`: one that is shown whole. */
export function OrdersPage({ intentId }: { readonly intentId: string | undefined }) {
  const { products } = useProducts();
  const { checkouts, query } = useCheckouts();
  return (
    <div className={classes.page}>
      <Title order={1} className={classes.title ?? ""}>
        Orders
      </Title>
      {query.error !== null && (
        <ProblemBox problem={explain(query.error)} mb="md">
          <Button mt="sm" variant="default" onClick={() => void query.refetch()}>
            Try again
          </Button>
        </ProblemBox>
      )}
      {query.isPending ? (
        <Skeleton height={240} radius="lg" />
      ) : checkouts.length === 0 ? (
        query.error === null && <Nothing />
      ) : (
        <ul className={classes.list} data-testid="orders">
          {checkouts.map((checkout) => (
            <OrderRow key={checkout.intentId} checkout={checkout} products={products} />
          ))}
        </ul>
      )}
      {query.hasNextPage && (
        <Button
          mt="md"
          variant="default"
          loading={query.isFetchingNextPage}
          onClick={() => void query.fetchNextPage()}
        >
          Older orders
        </Button>
      )}
      <OrderDialog intentId={intentId} />
    </div>
  );
}

/**
 * Looks again whenever an event of the wallet comes, and every now and then while an order waits for something. A stream
 * for each would take all the connections that a browser opens to a server.
 */
function useCheckouts() {
  const { wallet, feed } = useMesh();
  const query = useInfiniteQuery(
    CheckoutService.method.listCheckouts,
    { wallet: wallet.address, pageSize, pageToken: "" },
    {
      pageParamKey: "pageToken",
      getNextPageParam: ({ nextPageToken }) => (nextPageToken === "" ? undefined : nextPageToken),
      staleTime: 0,
      refetchInterval: ({ state }) => (state.data?.pages.some(hasOpen) ? refetchMs : false),
    },
  );
  const newest = useStore(feed.state).events[0]?.eventId;
  const { refetch } = query;
  useEffect(() => {
    if (newest !== undefined) void refetch();
  }, [newest, refetch]);
  const checkouts: readonly Checkout[] = query.data?.pages.flatMap((page) => page.checkouts) ?? [];
  return { checkouts, query };
}

function hasOpen({ checkouts }: ListCheckoutsResponse): boolean {
  return checkouts.some(({ state }) => !isEnd(state));
}

/** What the address names stands open above the list; closed, the address is the list's again. */
function OrderDialog({ intentId }: { readonly intentId: string | undefined }) {
  const [chosen, setChosen] = useState<Chosen>();
  useEffect(() => {
    if (intentId === undefined) return;
    setChosen((before) => ({ intentId, visit: (before?.visit ?? 0) + 1 }));
  }, [intentId]);
  return (
    <CheckoutDialog
      opened={intentId !== undefined}
      chosen={chosen}
      onClose={() => {
        location.hash = hrefs.orders;
      }}
    />
  );
}

function Nothing() {
  return (
    <div className={classes.nothing}>
      <PackageOpen size={30} strokeWidth={1.5} aria-hidden />
      <p>
        <strong>No orders yet</strong>
      </p>
      <p>What you buy is listed here, with how far it has come.</p>
      <Button component="a" href={hrefs.shop} mt="sm">
        To the shop
      </Button>
    </div>
  );
}
