import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { createContext, useContext } from "react";
import { AttestorService } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import { CheckoutService } from "#gen/sovr/checkout/v1/checkout_service_pb.ts";
import { EventStreamService } from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { type Feed, openFeed } from "./activity/feed.ts";
import { type BalanceWatch, openBalanceWatch } from "./balances/watch.ts";
import { usd } from "./currency.ts";
import { openSession, postJson, type Session } from "./mesh/session.ts";
import { openTransport, type Protocol } from "./mesh/transport.ts";
import { openPurchases, type Purchases } from "./purchase/purchases.ts";
import { type BasketStore, openBasket } from "./shop/basket.ts";
import { loadPageConfig, type PageConfig } from "./studio-config.ts";
import type { DemoWallet } from "./wallet/demo-wallet.ts";

/** The mesh as one wallet sees it. */
export interface Mesh {
  readonly config: PageConfig;
  readonly wallet: DemoWallet;
  readonly protocol: Protocol;
  readonly session: Session;
  readonly transport: Transport;
  readonly attestor: Client<typeof AttestorService>;
  readonly checkout: Client<typeof CheckoutService>;
  readonly feed: Feed;
  readonly balance: BalanceWatch;
  readonly purchases: Purchases;
  readonly basket: BasketStore;
  /** Development only: asks for test money. `amount`: cents. Rejects with StudioError. */
  fund(amount: bigint): Promise<void>;
  close(): void;
}

export function openMesh(wallet: DemoWallet, protocol: Protocol): Mesh {
  const session = openSession(wallet);
  const transport = openTransport(protocol, session);
  const events = createClient(EventStreamService, transport);
  const feed = openFeed({ client: events, storage: sessionStorage, wallet: wallet.address });
  const balance = openBalanceWatch({ client: events, wallet: wallet.address, ledger: usd });
  return {
    config: loadPageConfig(),
    wallet,
    protocol,
    session,
    transport,
    attestor: createClient(AttestorService, transport),
    checkout: createClient(CheckoutService, transport),
    feed,
    balance,
    purchases: openPurchases(localStorage, wallet.address),
    basket: openBasket(localStorage, wallet.address),
    async fund(amount) {
      await postJson("/dev/faucet", { amount: String(amount) }, await session.token());
      balance.look();
    },
    close() {
      feed.close();
      balance.close();
      session.close();
    },
  };
}

const MeshContext = createContext<Mesh | undefined>(undefined);

export const MeshProvider = MeshContext.Provider;

/** The mesh of the page. Throws Error outside of MeshProvider. */
export function useMesh(): Mesh {
  const mesh = useContext(MeshContext);
  if (mesh === undefined) throw new Error("there is no mesh around this component");
  return mesh;
}
