// Goal: a page leads where it says. Method: every page that git tracks; its links, their anchors, and the files that it names.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "../..");
const list = (...patterns: string[]) =>
  execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", ...patterns], {
    cwd: root,
    encoding: "utf8",
  })
    .split("\n")
    .filter((path) => path !== "" && existsSync(join(root, path)));
const pages = list("*.md").filter((path) => !path.startsWith("proto/vendor/"));
const files = list();

const read = (path: string) => readFileSync(join(root, path), "utf8");
/** A page without its blocks of code, in which brackets and backticks mean something else. */
const prose = (path: string) => read(path).replace(/^```[\s\S]*?^```/gm, "");

/** The anchors of a page, as its host makes them of headings. */
function anchorsOf(path: string): Set<string> {
  const headings = [...prose(path).matchAll(/^#{1,6} +(.+)$/gm)].map(([, text = ""]) => text);
  return new Set(
    headings.map((text) =>
      text
        .toLowerCase()
        .replace(/`|\*/g, "")
        .replace(/[^\p{L}\p{N}_ -]/gu, "")
        .replace(/ /g, "-"),
    ),
  );
}

function brokenLinks(page: string): string[] {
  const targets = [...prose(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => target);
  return targets
    .filter((target) => !/^[a-z]+:/.test(target))
    .filter((target) => {
      const [path = "", anchor] = target.split("#");
      const place = path === "" ? page : posix.join(dirname(page), path);
      if (!existsSync(join(root, place))) return true;
      return anchor !== undefined && place.endsWith(".md") && !anchorsOf(place).has(anchor);
    });
}

/** The files of code that a page names which are no file here, by whatever part of their path it names them. */
function unknownFiles(page: string): string[] {
  const names = [...prose(page).matchAll(/`(?:#)?([\w/-]+(?:\.test)?\.(?:ts|tsx|proto|sql))`/g)];
  return [...new Set(names.map(([, name = ""]) => name))].filter(
    (name) => !files.some((file) => file === name || file.endsWith(`/${name}`)),
  );
}

describe.each(pages)("%s", (page) => {
  it("links to what is there, and names files that are there", () => {
    expect(brokenLinks(page)).toEqual([]);
    expect(unknownFiles(page)).toEqual([]);
  });
});

it("is reached from docs/README.md, whatever page it is", () => {
  const index = prose("docs/README.md");
  const unlisted = pages.filter(
    (page) =>
      page !== "docs/README.md" &&
      !page.startsWith(".github/") &&
      !index.includes(`(${posix.relative("docs", page)})`),
  );
  expect(unlisted).toEqual([]);
});
