import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const read = (page: string): string => readFileSync(join(root, page), "utf8");
const filesOf = (folder: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((name) =>
    join(folder, name).replaceAll("\\", "/"),
  );

const pages = [...readdirSync(root), ...filesOf("docs"), ...filesOf(".github")].filter((name) =>
  name.endsWith(".md"),
);

/** The anchors of a page's headings, as GitHub makes them. */
const anchorsOf = (text: string): Set<string> =>
  new Set(
    [...text.replaceAll(/^```.*?^```/gms, "").matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );

const prose = (text: string): string => text.replaceAll(/^```.*?^```/gms, "").replaceAll(/<!--.*?-->/gs, "");

describe.each(pages)("%s", (page) => {
  const text = prose(read(page));

  test("links only to pages, files and headings that exist", () => {
    const links = [...text.replaceAll(/`[^`\n]*`/g, "").matchAll(/\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)$/gm)]
      .map(([, inline, reference]) => inline ?? reference ?? "")
      .filter((link) => !/^https?:/.test(link));
    const broken = links.filter((link) => {
      const [file = "", anchor] = link.split("#");
      const target = file === "" ? page : join(dirname(page), file);
      if (!existsSync(join(root, target))) return true;
      return anchor !== undefined && !anchorsOf(read(target)).has(anchor);
    });
    expect(broken).toEqual([]);
  });

  test("names only npm scripts that package.json has", () => {
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
    const named = [...text.matchAll(/npm run ([\w:-]+)/g)].map(([, name = ""]) => name);
    expect(named.filter((name) => !Object.hasOwn(scripts, name))).toEqual([]);
  });
});

test.each(["CONTRIBUTING.md", "docs/architecture.md", "docs/executor.md", "docs/training.md"])(
  "%s names only source files that exist",
  (page) => {
    const sources = ["extension", "webview", "scripts", "test", "docs", ".github"].flatMap(filesOf);
    // A path may begin at any folder: `tensor/core/tensor.ts`, or `tensor.ts` below a heading that names the folder.
    const exists = (path: string): boolean =>
      existsSync(join(root, path)) || sources.some((file) => file.endsWith(`/${path}`));
    const text = prose(read(page));
    const named = [
      ...text.matchAll(/`((?:[\w.-]+\/)*[\w.-]+\.(?:ts|mjs|cc|py|md|yml))`/g),
      ...text.matchAll(/\b((?:extension|webview|scripts|test|docs)\/[\w./-]+\.(?:ts|mjs|cc|py|md))\b/g),
    ]
      .map(([, path = ""]) => path)
      // Files of users, and those that a recipe creates.
      .filter((path) => !/\.nn\.ts$|NAME/.test(path));
    expect(named.filter((path) => !exists(path))).toEqual([]);
  },
);
