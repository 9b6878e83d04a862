import { CircleCheck, CircleMinus, CircleX, ShieldAlert, ShieldCheck } from "lucide-react";
import { useMemo } from "react";
import { type Check, checkEntry, type Evidence } from "./check-entry.ts";
import classes from "./checks-panel.module.css";

/** What this browser found when it checked an entry by itself. */
export function ChecksPanel({ entry, cleared, domain }: Evidence) {
  const checks = useMemo(() => checkEntry({ entry, cleared, domain }), [entry, cleared, domain]);
  const failed = checks.filter(({ ok }) => ok === false).length;
  const asked = checks.filter(({ ok }) => ok !== undefined).length;
  const verdict = failed === 0 ? "good" : "bad";
  const Icon = failed === 0 ? ShieldCheck : ShieldAlert;
  return (
    <section className={classes.panel} aria-labelledby="checks" data-verdict={verdict}>
      <header className={classes.head}>
        <span className={classes.shield} aria-hidden>
          <Icon size={26} />
        </span>
        <div>
          <h2 id="checks">
            {failed === 0 ? "Checked in this browser" : "This entry does not hold"}
          </h2>
          <p>
            {failed === 0
              ? `All ${asked} checks hold. Nobody's word was taken for them.`
              : `${failed} of ${asked} checks failed. Do not rely on what is shown here.`}
          </p>
        </div>
      </header>
      <ul className={classes.checks}>
        {checks.map((check) => (
          <CheckRow key={check.name} {...check} />
        ))}
      </ul>
    </section>
  );
}

function CheckRow({ name, ok, says }: Check) {
  const Icon = ok === undefined ? CircleMinus : ok ? CircleCheck : CircleX;
  const word = ok === undefined ? "not asked for" : ok ? "holds" : "fails";
  return (
    <li className={classes.check} data-ok={String(ok)}>
      <Icon size={20} aria-hidden />
      <div>
        <strong>{name}</strong>
        <span className="hidden-visually">: {word}</span>
        <p>{says}</p>
      </div>
    </li>
  );
}
