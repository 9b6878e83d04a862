import { TransportProvider } from "@connectrpc/connect-query";
import { type ReactNode, useCallback, useEffect, useState } from "react";
import { AccountPage } from "./account/page.tsx";
import { ActivityPage } from "./activity/page.tsx";
import { JournalPage } from "./journal/page.tsx";
import { loadPerson, type Person, signOut } from "./mesh/sign-in.ts";
import { keepProtocol, loadProtocol, type Protocol } from "./mesh/transport.ts";
import { MeshProvider, openMesh, openViewing, useViewing, type Viewing } from "./mesh-context.tsx";
import { OrdersPage } from "./orders/page.tsx";
import { NotFoundPage } from "./shell/not-found-page.tsx";
import { type Route, useRoute } from "./shell/route.ts";
import { Shell } from "./shell/shell.tsx";
import { ShopPage } from "./shop/page.tsx";
import { useStore } from "./store.ts";
import { loadPageConfig } from "./studio-config.ts";
import { type DemoWallet, forgetWallet, loadWallet } from "./wallet/demo-wallet.ts";
import { WalletPage } from "./wallet/page.tsx";
import { WelcomePage } from "./welcome/page.tsx";

const config = loadPageConfig();

export function App() {
  const [wallet, setWallet] = useState(() => loadWallet(localStorage));
  const [protocol, setProtocol] = useState(() => loadProtocol(localStorage));
  const { person, isAsking, forget } = usePerson();

  if (isAsking) return null;
  if (person !== undefined) {
    return <PersonApp person={person} protocol={protocol} onSignedOut={forget} />;
  }
  if (wallet === undefined) return <WelcomePage signIn={config.signIn} onWallet={setWallet} />;
  return (
    <WalletApp
      wallet={wallet}
      protocol={protocol}
      onForget={() => {
        // Whoever throws the key away has done with its session too.
        if (config.signIn !== undefined) signOut().catch(() => undefined);
        forgetWallet(localStorage);
        setWallet(undefined);
      }}
      onProtocol={(chosen) => {
        keepProtocol(localStorage, chosen);
        setProtocol(chosen);
      }}
    />
  );
}

/** The person who has signed in in this browser, if one has. Where nobody can say, it is as if nobody had. */
function usePerson() {
  const [person, setPerson] = useState<Person>();
  const [isAsking, setIsAsking] = useState(config.signIn !== undefined);
  useEffect(() => {
    if (config.signIn === undefined) return;
    loadPerson()
      .then(setPerson, () => undefined)
      .finally(() => setIsAsking(false));
  }, []);
  const forget = useCallback(() => setPerson(undefined), []);
  return { person, isAsking, forget };
}

interface WalletAppProps extends PageProps {
  readonly wallet: DemoWallet;
  readonly protocol: Protocol;
}

function WalletApp({ wallet, protocol, ...actions }: WalletAppProps) {
  const mesh = useOpened(openMesh, wallet, protocol);
  return mesh === undefined ? null : (
    <Around viewing={mesh}>
      <Page {...actions} />
    </Around>
  );
}

interface PersonAppProps {
  readonly person: Person;
  readonly protocol: Protocol;
  readonly onSignedOut: () => void;
}

function PersonApp({ person, protocol, onSignedOut }: PersonAppProps) {
  const viewing = useOpened(openViewing, person, protocol);
  return viewing === undefined ? null : (
    <Around viewing={viewing}>
      <PersonPage person={person} onSignedOut={onSignedOut} />
    </Around>
  );
}

function Around({
  viewing,
  children,
}: {
  readonly viewing: Viewing;
  readonly children: ReactNode;
}) {
  return (
    <MeshProvider value={viewing}>
      <TransportProvider transport={viewing.transport}>
        <Shell>{children}</Shell>
      </TransportProvider>
    </MeshProvider>
  );
}

function PersonPage({ person, onSignedOut }: Omit<PersonAppProps, "protocol">) {
  const route = useRoute();
  useTitle(route.page === "shop" ? "Activity" : titleOf(route));
  const { problem } = useStore(useViewing().session.state);
  useEffect(() => {
    if (problem?.reason === "SESSION_EXPIRED") onSignedOut();
  }, [problem, onSignedOut]);
  switch (route.page) {
    case "shop":
    case "activity":
      return <ActivityPage />;
    case "account":
      return <AccountPage person={person} onSignedOut={onSignedOut} />;
    case "journal":
      return <JournalPage key={route.intentId} intentId={route.intentId} />;
    default:
      return <NotFoundPage />;
  }
}

interface PageProps {
  readonly onForget: () => void;
  readonly onProtocol: (protocol: Protocol) => void;
}

function Page({ onForget, onProtocol }: PageProps) {
  const route = useRoute();
  useTitle(titleOf(route));
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

function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · SOVR Studio`;
    scrollTo(0, 0);
  }, [title]);
}

function titleOf({ page }: Route): string {
  const titles = {
    shop: "Shop",
    orders: "Orders",
    activity: "Activity",
    wallet: "Wallet",
    account: "Account",
    journal: "Journal entry",
  };
  return page === "unknown" ? "Not found" : titles[page];
}

/** One at a time; it is closed when what it was opened for changes, and with the page. */
function useOpened<Who, Opened extends Viewing>(
  open: (who: Who, protocol: Protocol) => Opened,
  who: Who,
  protocol: Protocol,
): Opened | undefined {
  const [opened, setOpened] = useState<Opened>();
  useEffect(() => {
    const fresh = open(who, protocol);
    setOpened(fresh);
    return () => {
      fresh.close();
      setOpened(undefined);
    };
  }, [open, who, protocol]);
  return opened;
}
