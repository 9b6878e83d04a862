import { TransportProvider } from "@connectrpc/connect-query";
import { useEffect, useState } from "react";
import { ActivityPage } from "./activity/page.tsx";
import { JournalPage } from "./journal/page.tsx";
import { keepProtocol, loadProtocol, type Protocol } from "./mesh/transport.ts";
import { type Mesh, MeshProvider, openMesh } from "./mesh-context.tsx";
import { OrdersPage } from "./orders/page.tsx";
import { NotFoundPage } from "./shell/not-found-page.tsx";
import { type Route, useRoute } from "./shell/route.ts";
import { Shell } from "./shell/shell.tsx";
import { ShopPage } from "./shop/page.tsx";
import { type DemoWallet, forgetWallet, loadWallet } from "./wallet/demo-wallet.ts";
import { WalletPage } from "./wallet/page.tsx";
import { WelcomePage } from "./welcome/page.tsx";

export function App() {
  const [wallet, setWallet] = useState(() => loadWallet(localStorage));
  const [protocol, setProtocol] = useState(() => loadProtocol(localStorage));
  const mesh = useMeshOf(wallet, protocol);

  if (wallet === undefined) return <WelcomePage onWallet={setWallet} />;
  if (mesh === undefined) return null;
  return (
    <MeshProvider value={mesh}>
      <TransportProvider transport={mesh.transport}>
        <Shell>
          <Page
            onForget={() => {
              forgetWallet(localStorage);
              setWallet(undefined);
            }}
            onProtocol={(chosen) => {
              keepProtocol(localStorage, chosen);
              setProtocol(chosen);
            }}
          />
        </Shell>
      </TransportProvider>
    </MeshProvider>
  );
}

interface PageProps {
  readonly onForget: () => void;
  readonly onProtocol: (protocol: Protocol) => void;
}

function Page({ onForget, onProtocol }: PageProps) {
  const route = useRoute();
  const title = titleOf(route);
  useEffect(() => {
    document.title = `${title} · SOVR Studio`;
    scrollTo(0, 0);
  }, [title]);
  switch (route.page) {
    case "shop":
      return <ShopPage />;
    case "orders":
      return <OrdersPage intentId={route.intentId} />;
    case "activity":
      return <ActivityPage />;
    case "wallet":
      return <WalletPage onForget={onForget} onProtocol={onProtocol} />;
    case "journal":
      return <JournalPage key={route.intentId} intentId={route.intentId} />;
    default:
      return <NotFoundPage />;
  }
}

function titleOf({ page }: Route): string {
  const titles = {
    shop: "Shop",
    orders: "Orders",
    activity: "Activity",
    wallet: "Wallet",
    journal: "Journal entry",
  };
  return page === "unknown" ? "Not found" : titles[page];
}

/** One mesh at a time; it is closed when wallet or protocol change, and with the page. */
function useMeshOf(wallet: DemoWallet | undefined, protocol: Protocol): Mesh | undefined {
  const [mesh, setMesh] = useState<Mesh>();
  useEffect(() => {
    if (wallet === undefined) return;
    const opened = openMesh(wallet, protocol);
    setMesh(opened);
    return () => {
      opened.close();
      setMesh(undefined);
    };
  }, [wallet, protocol]);
  return mesh;
}
