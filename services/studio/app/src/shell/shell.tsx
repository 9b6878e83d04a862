import { ActionIcon, Tooltip, useComputedColorScheme, useMantineColorScheme } from "@mantine/core";
import { Activity, CircleUser, Moon, Package, Store, Sun, Wallet } from "lucide-react";
import type { ReactNode } from "react";
import mark from "../mark.svg";
import { useViewing } from "../mesh-context.tsx";
import { useStore } from "../store.ts";
import { ConnectionBadge } from "./connection-badge.tsx";
import { ProblemBox } from "./problem-box.tsx";
import { hrefs, useRoute } from "./route.ts";
import classes from "./shell.module.css";

const shopperLinks = [
  { page: "shop", href: hrefs.shop, label: "Shop", icon: Store },
  { page: "orders", href: hrefs.orders, label: "Orders", icon: Package },
  { page: "activity", href: hrefs.activity, label: "Activity", icon: Activity },
  { page: "wallet", href: hrefs.wallet, label: "Wallet", icon: Wallet },
] as const;

const personLinks = [
  { page: "activity", href: hrefs.activity, label: "Activity", icon: Activity },
  { page: "account", href: hrefs.account, label: "Account", icon: CircleUser },
] as const;

/** What stands around every page. */
export function Shell({ children }: { readonly children: ReactNode }) {
  const { feed, session, viewer, person } = useViewing();
  const links = viewer === undefined ? personLinks : shopperLinks;
  const { connection, problem } = useStore(feed.state);
  const signedIn = useStore(session.state);
  const { page } = useRoute();
  return (
    <>
      <button type="button" className={classes.skip} onClick={focusMain}>
        Skip to content
      </button>
      <header className={classes.header}>
        <div className={classes.bar}>
          <a className={classes.brand} href={viewer === undefined ? hrefs.activity : hrefs.shop}>
            <img src={mark} alt="" />
            SOVR Studio
          </a>
          <nav className={classes.nav} aria-label="Pages">
            {links.map(({ icon: Icon, ...link }) => (
              <a
                key={link.page}
                className={classes.link}
                href={link.href}
                aria-current={page === link.page ? "page" : undefined}
              >
                <Icon size={18} aria-hidden />
                {link.label}
              </a>
            ))}
          </nav>
          <div className={classes.end}>
            {person !== undefined && <span className={classes.person}>{person.name}</span>}
            <ConnectionBadge connection={connection} problem={problem} />
            <ColorSchemeButton />
          </div>
        </div>
      </header>
      <main className={classes.main} id="main" tabIndex={-1}>
        {signedIn.problem !== undefined && signedIn.expiresAtMs === undefined && (
          <ProblemBox problem={signedIn.problem} mb="md" />
        )}
        {children}
      </main>
    </>
  );
}

/** A button and no link: what stands behind the # belongs to the pages. */
function focusMain(): void {
  document.getElementById("main")?.focus();
}

/** Follows the system until it is pressed. */
export function ColorSchemeButton() {
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme("light", { getInitialValueInEffect: false });
  const next = scheme === "dark" ? "light" : "dark";
  const label = `Switch to ${next} colours`;
  return (
    <Tooltip label={label}>
      <ActionIcon
        variant="default"
        size="lg"
        aria-label={label}
        onClick={() => setColorScheme(next)}
      >
        {scheme === "dark" ? <Sun size={18} aria-hidden /> : <Moon size={18} aria-hidden />}
      </ActionIcon>
    </Tooltip>
  );
}
