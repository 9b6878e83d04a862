import { Button, Title } from "@mantine/core";
import { LogOut, Terminal } from "lucide-react";
import { useState } from "react";
import { explain, type Problem } from "../mesh/problem.ts";
import { type Person, signOut } from "../mesh/sign-in.ts";
import { useViewing } from "../mesh-context.tsx";
import { Copyable } from "../shell/copyable.tsx";
import { ProblemBox } from "../shell/problem-box.tsx";
import classes from "./page.module.css";

interface AccountPageProps {
  readonly person: Person;
  readonly onSignedOut: () => void;
}

/** Who is signed in, what that lets one do, and the way out. */
export function AccountPage({ person, onSignedOut }: AccountPageProps) {
  const [problem, setProblem] = useState<Problem>();

  function leave(): void {
    signOut().then(onSignedOut, (error: unknown) => setProblem(explain(error)));
  }

  return (
    <div className={classes.page}>
      <Title order={1} className={classes.title ?? ""}>
        Account
      </Title>
      <section className="card" aria-labelledby="person">
        <h2 id="person" className={classes.name}>
          {person.name}
        </h2>
        <dl className={classes.facts}>
          <dt>Known as</dt>
          <dd>
            <Copyable text={person.subject} what="subject" />
          </dd>
          <dt>{person.roles.length === 1 ? "Role" : "Roles"}</dt>
          <dd data-testid="roles">{person.roles.join(", ")}</dd>
        </dl>
        <p className={classes.says}>
          Your provider of identities says so. What it says anew counts once you sign in again.
        </p>
        <Button variant="default" leftSection={<LogOut size={16} aria-hidden />} onClick={leave}>
          Sign out
        </Button>
        {problem !== undefined && <ProblemBox problem={problem} mt="md" />}
      </section>
      <TokenPanel />
    </div>
  );
}

/** A token for tools that have no browser, such as grpcurl. */
function TokenPanel() {
  const { session } = useViewing();
  const [token, setToken] = useState<string>();
  const [problem, setProblem] = useState<Problem>();

  function show(): void {
    session.token().then(setToken, (error: unknown) => setProblem(explain(error)));
  }

  return (
    <section className="card" aria-labelledby="token">
      <h2 id="token" className={classes.name}>
        For the command line
      </h2>
      <p className={classes.says}>
        A token with your roles, for grpcurl or curl. It is good for five minutes at most, and
        whoever reads it is you for as long.
      </p>
      {token === undefined ? (
        <Button variant="default" leftSection={<Terminal size={16} aria-hidden />} onClick={show}>
          Show a token
        </Button>
      ) : (
        <p className={classes.token} data-testid="token">
          <Copyable text={token} what="token" />
        </p>
      )}
      {problem !== undefined && <ProblemBox problem={problem} mt="md" />}
    </section>
  );
}
