import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { Problem } from "../command/problem.ts";
import { findProgram } from "../command/run-program.ts";

/** How to start a program that refuses to run as root. */
export interface Unprivileged {
  /** What goes before the command; empty if `uid` and `gid` do. */
  readonly prefix: readonly string[];
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  /** Who must own its files; undefined: whoever runs this. */
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
}

/**
 * PostgreSQL refuses root. As root it runs as whoever owns its `data` already, else as `postgres`, or as `nobody`. If that
 * user cannot reach the data or the `program`, as under a home folder of mode 0700, it runs with the capability to pass
 * folders all the same.
 */
export function unprivileged(data: string, program: string): Unprivileged {
  const paths = [data, program];
  if (process.getuid?.() !== 0) {
    return { prefix: [], uid: undefined, gid: undefined, owner: undefined };
  }
  const owner = postgresUser(data);
  if (owner === undefined) {
    throw new Problem(
      "PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody`: make one",
    );
  }
  if (paths.every((path) => othersMayPass(path, owner))) return { prefix: [], ...owner, owner };
  const setpriv = findProgram("setpriv");
  if (setpriv === undefined) {
    throw new Problem(
      `PostgreSQL refuses to run as root, and the user it runs as may not enter ${paths[0]}: move the folder, or install setpriv (util-linux)`,
    );
  }
  // PostgreSQL asks access() whether it may, and the kernel answers that for another user than root without capabilities,
  // unless it is told to leave them alone when users change. setpriv still drops all others.
  const capability = "+dac_override";
  const prefix = [
    setpriv,
    `--reuid=${owner.uid}`,
    `--regid=${owner.gid}`,
    "--clear-groups",
    "--securebits=+no_setuid_fixup",
    `--inh-caps=${capability}`,
    `--ambient-caps=${capability}`,
  ];
  return { prefix, uid: undefined, gid: undefined, owner };
}

/** As root: whom PostgreSQL runs as; undefined if there is nobody, and for whoever is not root. */
export function postgresUser(data: string): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  return ownerOf(data) ?? findUser("postgres") ?? findUser("nobody");
}

/** Who owns a folder that is there; undefined for root's, which PostgreSQL does not take. */
function ownerOf(folder: string): { uid: number; gid: number } | undefined {
  const { uid = 0, gid = 0 } = statSync(folder, { throwIfNoEntry: false }) ?? {};
  return uid === 0 ? undefined : { uid, gid };
}

function findUser(name: string): { uid: number; gid: number } | undefined {
  try {
    accessSync("/etc/passwd", constants.R_OK);
  } catch {
    return undefined;
  }
  const line = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .find((entry) => entry.startsWith(`${name}:`));
  const [, , uid, gid] = line?.split(":") ?? [];
  return uid === undefined || gid === undefined
    ? undefined
    : { uid: Number(uid), gid: Number(gid) };
}

/** Whether a user passes every folder on the way to a path. */
function othersMayPass(path: string, user: { uid: number; gid: number }): boolean {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const { mode, uid, gid } = statSync(folder);
    const bit = uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}
