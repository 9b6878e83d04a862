import { ActionIcon, CopyButton, Tooltip } from "@mantine/core";
import { Check, Copy } from "lucide-react";
import classes from "./copyable.module.css";

interface CopyableProps {
  readonly text: string;
  /** What it is, for the button: "address". */
  readonly what: string;
  /** Shows the beginning and the end alone. */
  readonly short?: boolean;
}

/** A long technical text, with a button that copies it. */
export function Copyable({ text, what, short = false }: CopyableProps) {
  return (
    <span className={classes.copyable}>
      <span className="mono" title={short ? text : undefined}>
        {short ? shorten(text) : text}
      </span>
      <CopyButton value={text} timeout={1_500}>
        {({ copied, copy }) => (
          <Tooltip label={copied ? "Copied" : `Copy ${what}`}>
            <ActionIcon
              variant="subtle"
              color="gray"
              size="sm"
              aria-label={`Copy ${what}`}
              onClick={copy}
            >
              {copied ? <Check size={14} aria-hidden /> : <Copy size={14} aria-hidden />}
            </ActionIcon>
          </Tooltip>
        )}
      </CopyButton>
    </span>
  );
}

/** The beginning and the end of a long text. */
export function shorten(text: string): string {
  return text.length <= 16 ? text : `${text.slice(0, 8)}…${text.slice(-6)}`;
}
