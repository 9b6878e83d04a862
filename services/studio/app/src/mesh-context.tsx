import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { createContext, useContext } from "react";
import { AttestorService } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import { CheckoutService } from "#gen/sovr/checkout/v1/checkout_service_pb.ts";
import { EventStreamService } from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { type Feed, openFeed } from "./activity/feed.ts";
import { type BalanceWatch, openBalanceWatch } from "./balances/watch.ts";
import { usd } from "./currency.ts";
import { oneClickToken } from "./mesh/one-click.ts";
import { postJson } from "./mesh/post-json.ts";
import { openSession, type Session } from "./mesh/session.ts";
import { type Person, personToken, walletToken } from "./mesh/sign-in.ts";
import { openTransport, type Protocol } from "./mesh/transport.ts";
import { openPurchases, type Purchases } from "./purchase/purchases.ts";
import { type BasketStore, openBasket } from "./shop/basket.ts";
import { loadPageConfig, type PageConfig } from "./studio-config.ts";
import type { DemoWallet } from "./wallet/demo-wallet.ts";

/** The mesh as somebody sees it who may only look: a person, or a wallet. */
export interface Viewing {
  readonly config: PageConfig;
  readonly protocol: Protocol;
  readonly session: Session;
  readonly transport: Transport;
  readonly feed: Feed;
  /** The wallet whose eyes these are, EIP-55; undefined for a person, who sees everybody's. */
  readonly viewer: string | undefined;
  /** The person, where it is one. */
  readonly person: Person | undefined;
  close(): void;
}

/** The mesh as one wallet sees and uses it. */
export interface Mesh extends Viewing {
  readonly wallet: DemoWallet;
  readonly attestor: Client<typeof AttestorService>;
  readonly checkout: Client<typeof CheckoutService>;
  readonly balance: BalanceWatch;
  readonly purchases: Purchases;
  readonly basket: BasketStore;
  /** Development only: asks for test money. `amount`: cents. Rejects with StudioError. */
  fund(amount: bigint): Promise<void>;
}

export function openMesh(wallet: DemoWallet, protocol: Protocol): Mesh {
  const config = loadPageConfig();
  const session = openSession(() =>
    config.signIn === undefined ? oneClickToken(wallet) : walletToken(wallet),
  );
  const transport = openTransport(protocol, session);
  const events = createClient(EventStreamService, transport);
  const feed = openFeed({ client: events, storage: sessionStorage, viewer: wallet.address });
  const balance = openBalanceWatch({ client: events, wallet: wallet.address, ledger: usd });
  return {
    config,
    wallet,
    viewer: wallet.address,
    person: undefined,
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

/** What a person sees. Nothing of it is kept in the browser: it is everybody's, and goes when the person does. */
export function openViewing(person: Person, protocol: Protocol): Viewing {
  const session = openSession(personToken);
  const transport = openTransport(protocol, session);
  const client = createClient(EventStreamService, transport);
  // The tab keeps nothing, whoever uses it next.
  const storage = { getItem: () => null, setItem: () => undefined };
  const feed = openFeed({ client, storage, viewer: undefined });
  return {
    config: loadPageConfig(),
    viewer: undefined,
    person,
    protocol,
    session,
    transport,
    feed,
    close() {
      feed.close();
      session.close();
    },
  };
}

const MeshContext = createContext<Viewing | Mesh | undefined>(undefined);

export const MeshProvider = MeshContext.Provider;

/** What the page may look at. Throws Error outside of MeshProvider. */
export function useViewing(): Viewing | Mesh {
  const viewing = useContext(MeshContext);
  if (viewing === undefined) throw new Error("there is no mesh around this component");
  return viewing;
}

/** The mesh of the page's wallet. Throws Error where there is none. */
export function useMesh(): Mesh {
  const viewing = useViewing();
  if (!isMesh(viewing)) throw new Error("nobody has a wallet around this component");
  return viewing;
}

function isMesh(viewing: Viewing | Mesh): viewing is Mesh {
  return "wallet" in viewing;
}
