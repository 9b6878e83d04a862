import { readdirSync, readFileSync, statSync } from "node:fs";
import { extname, join, sep } from "node:path";
import { gzipSync } from "node:zlib";

/** A file of the app, in memory. */
export interface StaticFile {
  readonly contentType: string;
  readonly body: Buffer;
  /** The same, compressed; undefined where that saves nothing. */
  readonly gzip: Buffer | undefined;
}

/** The built app. */
export interface StaticFiles {
  /** The page, in which `nonceMark` stands wherever the nonce of an answer goes, and `configMark` for the config. */
  readonly page: string;
  /** By path, such as "/assets/index-4f2a.js". What is not in here does not exist. */
  readonly assets: ReadonlyMap<string, StaticFile>;
}

/** What the build puts where a nonce goes. */
export const nonceMark = "CSP-NONCE";
/** What index.html has where the page's config goes. */
export const configMark = "STUDIO-CONFIG";

const contentTypes: Readonly<Record<string, string>> = {
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".woff2": "font/woff2",
};

const filesMax = 1_000;
const bytesMax = 32 * 1024 * 1024;

/**
 * Reads the built app into memory: requests then never reach the file system, and a path that leads out of the folder
 * is one that is not in the map. Throws Error if there is no app, or more than an app can be.
 */
export function loadStaticFiles(folder: string): StaticFiles {
  const page = readFileSync(join(folder, "index.html"), "utf8");
  if (!page.includes(nonceMark)) throw new Error(`index.html has no ${nonceMark}`);
  const names = readdirSync(join(folder, "assets"), { recursive: true, encoding: "utf8" });
  if (names.length > filesMax) throw new Error(`more than ${filesMax} files`);
  const assets = new Map<string, StaticFile>();
  let bytes = 0;
  for (const name of names) {
    const path = join(folder, "assets", name);
    const contentType = contentTypes[extname(name)];
    if (contentType === undefined || !statSync(path).isFile()) continue;
    const body = readFileSync(path);
    bytes += body.length;
    if (bytes > bytesMax) throw new Error(`more than ${bytesMax} bytes`);
    assets.set(`/assets/${name.split(sep).join("/")}`, { contentType, body, gzip: compress(body) });
  }
  return { page, assets };
}

function compress(body: Buffer): Buffer | undefined {
  const gzip = gzipSync(body);
  return gzip.length < body.length * 0.9 ? gzip : undefined;
}
