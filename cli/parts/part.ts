import type { KeyFiles } from "../state/keys.ts";
import type { NamedPort, Settings } from "../state/settings.ts";
import type { MeshIdentity } from "../state/state.ts";

/** The mesh that a part belongs to. */
export interface Mesh {
  readonly settings: Settings;
  readonly identity: MeshIdentity;
  readonly keys: KeyFiles;
  /** What the user's environment adds to that of every part. */
  readonly environment: NodeJS.ProcessEnv;
}

/** How a part's process is started. */
export interface Launch {
  readonly command: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  /** The text of the configuration that it reads at its start, if it reads one that the mesh writes. */
  readonly config?: string;
}

/** One process of a mesh. */
export interface Part {
  readonly name: string;
  /** The parts that must be ready before it starts, and that stop after it. */
  readonly dependsOn: readonly string[];
  readonly ports: readonly NamedPort[];
  /** How long it may take from its start until it is ready. */
  readonly readyMs: number;
  readonly stopSignal: NodeJS.Signals;
  /** How long it may take to stop before it is killed. */
  readonly stopMs: number;
  /** What takes long and waits for no other part, such as a download; it begins at once. Ends when `signal` fires. */
  prepare?(signal: AbortSignal): Promise<void>;
  /** Whether the mesh starts without it for now, as without a replica whose data is lost; it is tried again all the while. */
  isSpare?(): boolean;
  /** Makes everything else ready that its start needs, and says how to start it. Safe to repeat. */
  launch(): Promise<Launch>;
  /** Its version once it serves, "" if that cannot be told here. Throws while it does not serve. */
  probe(signal: AbortSignal): Promise<string>;
  /** When the certificate expires that it shows, epoch milliseconds; undefined if it shows none. Throws while it does not serve. */
  certificateExpiresMs?(signal: AbortSignal): Promise<number | undefined>;
}
