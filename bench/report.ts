import { table } from "../cli/command/text.ts";
import type { Aim, Measured } from "./measured.ts";

/** The lines of one engine as a table; the last columns compare with the first line that has a rate, the raw client's. */
export function reportTable(engine: string, lines: readonly Measured[]): string {
  const raw = rawRate(lines);
  const head = ["", "per s", "p50 ms", "p99 ms", "p99.9 ms", "CPU µs", "MB", "of raw", "aim"];
  const rows = lines.map((line) => [
    line.name,
    number(line.rate, 0),
    number(line.p50Ms, 2),
    number(line.p99Ms, 2),
    number(line.p999Ms, 2),
    number(line.cpuMicroseconds, 0),
    number(line.megabytes, 0),
    line.rate === undefined || raw === undefined ? "" : `${((line.rate / raw) * 100).toFixed(1)} %`,
    (line.aims ?? []).map((aim) => aimText(line, aim)).join(", "),
  ]);
  return `${engine}\n${table([head, ...rows])}`;
}

/** The rate of the raw client, which the others are compared with. */
export function rawRate(lines: readonly Measured[]): number | undefined {
  return lines.find(({ name }) => name.startsWith("raw"))?.rate;
}

const units = { rate: "/s", p50Ms: " ms p50", p99Ms: " ms p99", cpuMicroseconds: " µs" } as const;

function aimText(line: Measured, aim: Aim): string {
  const met = isMet(line, aim, 1) ? "met" : "missed";
  const bound = aim.min === undefined ? `≤ ${aim.max}` : `≥ ${aim.min}`;
  return `${bound}${units[aim.field]} ${met}`;
}

/** Whether an aim is met, with `slack` times as much allowed. */
function isMet(line: Measured, aim: Aim, slack: number): boolean {
  const value = line[aim.field];
  if (value === undefined) return false;
  if (aim.min !== undefined && value < aim.min / slack) return false;
  return aim.max === undefined || value <= aim.max * slack;
}

/** An aim counts as missed by --check when it is missed by more than half. */
const checkSlack = 1.5;

/** The aims that are missed by more than half, for people. */
export function missedAims(engine: string, lines: readonly Measured[]): string[] {
  return lines.flatMap((line) =>
    (line.aims ?? [])
      .filter((aim) => !isMet(line, aim, checkSlack))
      .map(
        (aim) => `${engine}, ${line.name}: ${number(line[aim.field], 1)}, ${aimText(line, aim)}`,
      ),
  );
}

function number(value: number | undefined, digits: number): string {
  if (value === undefined) return "";
  return value.toLocaleString("en", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}
