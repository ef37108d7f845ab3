// Requirements of marketplaces on the manifest and on the pages in a package.
import fs from "node:fs";
import path from "node:path";
import { listFiles, PackageManager } from "@vscode/vsce";
import { PNG } from "pngjs";
import { describe, expect, test } from "vitest";
import manifest from "../../../package.json";
import { packagedPage } from "../../../scripts/package/markdown.mjs";
import { inRoot } from "../../../scripts/project.mjs";

describe("the manifest", () => {
  // https://code.visualstudio.com/api/references/extension-manifest
  const CATEGORIES =
    "AI, Azure, Chat, Data Science, Debuggers, Education, Extension Packs, Formatters, Keymaps, Language Packs, Linters, " +
    "Machine Learning, Notebooks, Other, Programming Languages, SCM Providers, Snippets, Testing, Themes, Visualization";

  test("has what a page of the Marketplace shows", () => {
    expect(CATEGORIES.split(", ")).toEqual(expect.arrayContaining(manifest.categories));
    expect(manifest.keywords.length).toBeLessThanOrEqual(30);
    expect(new Set(manifest.keywords).size).toBe(manifest.keywords.length);
    expect(manifest.galleryBanner.color).toMatch(/^#[0-9a-f]{6}$/);
    expect(manifest).toMatchObject({
      license: "MIT",
      pricing: "Free",
      qna: "marketplace",
      markdown: "github",
    });
    const { width, height } = PNG.sync.read(fs.readFileSync(inRoot(manifest.icon)));
    expect([width, height]).toEqual([256, 256]);
  });

  test("passes the rules of Open VSX's server", () => {
    // Those of ExtensionValidator in eclipse/openvsx: lengths, characters, values.
    const texts = [manifest.name, manifest.publisher, manifest.displayName, manifest.license];
    for (const text of [...texts, ...manifest.categories, ...manifest.keywords]) {
      expect(text.length).toBeLessThanOrEqual(255);
      expect(text).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
    }
    for (const name of [manifest.name, manifest.publisher]) expect(name).toMatch(/^[\w\-+$~]+$/);
    expect(manifest.version).toMatch(/^[\p{L}\d$+\-,.:;_]+$/u);
    expect(manifest.description.length).toBeLessThanOrEqual(2048);
    expect(manifest.galleryBanner.color.length).toBeLessThanOrEqual(16);
    expect(["dark", "light"]).toContain(manifest.galleryBanner.theme);
  });

  test("claims no badge, sponsor or address that there isn't", () => {
    for (const field of ["badges", "sponsor", "repository", "bugs", "homepage"])
      expect(manifest).not.toHaveProperty(field);
  });
});

describe("a page in a package", () => {
  const README = "extension/README.md";
  const pictures = [...fs.readFileSync(inRoot(README), "utf8").matchAll(/!\[[^\]]*\]\(([^)]+)\)/g)].map(
    ([, file = ""]) => path.posix.join("extension", file),
  );

  test("links to its pictures, which the package has", { timeout: 60_000 }, async () => {
    const text = packagedPage(README, { ships: () => false, pictures: "link" });
    const linked = Array.from(text.matchAll(/!\[[^\]]+\]\(([^)]+)\)/g), ([, file]) => file);
    expect(linked).toEqual(pictures);
    expect(pictures).toHaveLength(3);
    const shipped = await listFiles({ cwd: inRoot(), packageManager: PackageManager.None });
    expect(shipped).toEqual(expect.arrayContaining(pictures));
  });

  test.each([README, "README.md", "CHANGELOG.md", "SECURITY.md"])(
    "of %s has no link that leads nowhere",
    (page) => {
      const ships = (file: string): boolean => file.startsWith("docs/") || file === "LICENSE";
      const text = packagedPage(page, { ships, pictures: "omit" });
      const prose = text.replaceAll(/^```.*?^```|`[^`\n]*`/gms, "");
      const targets = [...prose.matchAll(/(!?)\[[^\]]*\]\(([^)\s]+)\)/g)];
      for (const [, image, target = ""] of targets) {
        expect(image).toBe("");
        expect(target).toMatch(/^(?:https?:|#|docs\/[\w-]+\.md|LICENSE$)/);
      }
    },
  );

  test("leaves code unchanged", () => {
    const text = packagedPage("docs/from-pytorch.md", { ships: () => false, pictures: "omit" });
    const code = (page: string): string[] => page.match(/^```.*?^```|`[^`\n]*`/gms) ?? [];
    expect(code(text)).toEqual(code(fs.readFileSync(inRoot("docs/from-pytorch.md"), "utf8")));
    expect(code(text).length).toBeGreaterThan(100);
  });
});
