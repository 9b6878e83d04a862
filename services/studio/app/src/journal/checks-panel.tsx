import { CircleCheck, CircleMinus, CircleX, ShieldAlert, ShieldCheck } from "lucide-react";
import { useMemo } from "react";
import { type Check, checkEntry, type Evidence } from "./check-entry.ts";
import { checkMasked } from "./check-masked.ts";
import classes from "./checks-panel.module.css";

/** What this browser found when it checked an entry by itself. */
export function ChecksPanel({ entry, cleared, domain }: Evidence) {
  const checks = useMemo(() => {
    const evidence = { entry, cleared, domain };
    return entry.masked || cleared.masked ? checkMasked(evidence) : checkEntry(evidence);
  }, [entry, cleared, domain]);
  const failed = checks.filter(({ ok }) => ok === false).length;
  const asked = checks.filter(({ ok }) => ok !== undefined).length;
  const unseen = checks.filter((check) => check.unseen === true).length;
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
              ? `${holdWords(asked, unseen)} Nobody's word was taken for them.`
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

function holdWords(asked: number, unseen: number): string {
  if (unseen === 0) return `All ${asked} checks hold.`;
  return `${asked} checks hold, ${unseen} could not be made: what others have in it is not shown.`;
}

function CheckRow({ name, ok, says, unseen }: Check) {
  const Icon = ok === undefined ? CircleMinus : ok ? CircleCheck : CircleX;
  const notAsked = unseen === true ? "not checked" : "not asked for";
  const word = ok === undefined ? notAsked : ok ? "holds" : "fails";
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
