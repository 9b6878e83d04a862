import { Button, Collapse, PasswordInput, Text, Title } from "@mantine/core";
import { FlaskConical, Plus, Users } from "lucide-react";
import { type FormEvent, useState } from "react";
import mark from "../mark.svg";
import { ColorSchemeButton } from "../shell/shell.tsx";
import type { PageSignIn } from "../studio-config.ts";
import { type DemoWallet, keepWallet } from "../wallet/demo-wallet.ts";
import classes from "./page.module.css";

interface WelcomePageProps {
  /** Undefined: a development mesh that lets in everybody at one click. */
  readonly signIn: PageSignIn | undefined;
  readonly onWallet: (wallet: DemoWallet) => void;
}

/** The first thing that a browser without a wallet sees. */
export function WelcomePage({ signIn, onWallet }: WelcomePageProps) {
  const [importing, setImporting] = useState(false);
  const [problem, setProblem] = useState<string>();

  function importKey(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault();
    try {
      onWallet(keepWallet(localStorage, String(new FormData(event.currentTarget).get("key"))));
    } catch {
      setProblem("This is no private key: 64 hex digits are expected.");
    }
  }

  return (
    <main className={classes.page}>
      <div className={classes.corner}>
        <ColorSchemeButton />
      </div>
      <div className={classes.box}>
        <img className={classes.mark} src={mark} alt="" />
        <Title order={1} className={classes.title ?? ""}>
          Buy breakfast. <br />
          Watch it clear.
        </Title>
        <Text className={classes.lead ?? ""}>
          Everything you buy here is an intent that this browser signs. The mesh attests it, clears
          it into one final chain of transfers, and shows you the proof.
        </Text>
        <div className={classes.actions}>
          <Button
            size="md"
            leftSection={<Plus size={18} aria-hidden />}
            onClick={() => onWallet(keepWallet(localStorage))}
          >
            Create a demo wallet
          </Button>
          <Button
            size="md"
            variant="subtle"
            color="gray"
            aria-expanded={importing}
            onClick={() => setImporting(!importing)}
          >
            I have a key
          </Button>
          {signIn?.people === true && (
            <Button
              size="md"
              variant="default"
              component="a"
              href="/sign-in/oidc"
              leftSection={<Users size={18} aria-hidden />}
            >
              Sign in as staff
            </Button>
          )}
        </div>
        <Collapse expanded={importing}>
          <form className={classes.form} onSubmit={importKey}>
            <PasswordInput
              name="key"
              label="Private key of a demo wallet"
              placeholder="0x…"
              autoComplete="off"
              error={problem}
              required
            />
            <Button type="submit" variant="default">
              Use this key
            </Button>
          </form>
        </Collapse>
        <p className={classes.note}>
          <FlaskConical size={16} aria-hidden />
          {signIn === undefined
            ? "Development: one click gives everybody a token. A demo wallet's key stays in this browser, unprotected. Play money only."
            : "A demo wallet signs you in, and its key stays in this browser, unprotected. Play money only."}
        </p>
      </div>
    </main>
  );
}
