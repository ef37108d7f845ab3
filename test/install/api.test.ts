// The library's reference as a site: complete, without broken links, and without a network.
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildApi } from "../../scripts/api.mjs";
import { inRoot } from "../../scripts/project.mjs";
import { launchBrowser } from "../browser/library/browser.ts";

describe("the API page", () => {
  const site = fs.mkdtempSync(path.join(os.tmpdir(), "layerwise-api-"));
  let files: string[] = [];
  const read = (name: string): string => fs.readFileSync(path.join(site, name), "utf8");
  const pages = (): string[] => files.filter((name) => name.endsWith(".html"));

  beforeAll(async () => {
    // A warning of TypeDoc fails it.
    await buildApi({ site });
    files = fs.readdirSync(site, { recursive: true, encoding: "utf8" });
  });
  afterAll(() => fs.rmSync(site, { recursive: true, force: true }));

  test("has each namespace, each example and each picture", () => {
    for (const name of ["nn", "F", "optim", "data", "torch", "distributions", "transforms", "metrics"])
      expect(files).toContain(`modules/layerwise.${name}.html`);
    for (const name of [
      "classes/layerwise.nn.Linear",
      "functions/layerwise.F.relu",
      "functions/layerwise.torch.add",
    ])
      expect(files).toContain(`${name}.html`);
    for (const name of fs.readdirSync(inRoot("media/examples")))
      expect(files).toContain(`documents/Example_models.${name.replace(".nn.ts", ".html")}`);
    for (const name of fs.readdirSync(inRoot("media/screenshots"))) expect(files).toContain(`media/${name}`);
    expect(read("classes/layerwise.Tensor.html")).toContain('id="addmm"');
    expect(pages().length).toBeGreaterThan(1000);
  });

  test("hides what is not public", () => {
    // Bases that functions make, and types that compute the forms of a call.
    const hidden = /_base|BuiltIn(?:Optimizer|Schedule)?\.html|LayerClass|LossClass|Callables|MethodForms/;
    expect(files.filter((name) => hidden.test(name))).toEqual([]);
    expect(files).not.toContain("classes/layerwise.nn.AlongDimension.html");
  });

  test("loads nothing from elsewhere", () => {
    const loads = /<(?:script|img|source|iframe|video|audio)[^>]*\ssrc="([^"]+)"|<link[^>]*\shref="([^"]+)"/g;
    for (const page of pages())
      for (const [, source, link] of read(page).matchAll(loads))
        expect(source ?? link, page).not.toMatch(/^(?:\w+:)?\/\//);
    for (const style of files.filter((name) => name.endsWith(".css")))
      for (const [, target = ""] of read(style).matchAll(/(?:url\(|@import )["']?([^"')]+)/g))
        expect(target, style).toMatch(/^(?:data:|#|[\w./-]+$)/);
    for (const script of files.filter((name) => name.endsWith(".js")))
      expect(read(script), script).not.toMatch(
        /(?:fetch|import|importScripts|open)\(\s*["'`](?:https?:)?\/\//,
      );
  });

  test("has no link to a page or a heading that isn't there", () => {
    const anchors = new Map<string, Set<string>>();
    const anchorsOf = (page: string): Set<string> => {
      let found = anchors.get(page);
      if (found === undefined) {
        found = new Set(Array.from(read(page).matchAll(/\sid="([^"]+)"/g), ([, id = ""]) => id));
        anchors.set(page, found);
      }
      return found;
    };
    const known = new Set(files);
    const broken = new Set<string>();
    for (const page of pages())
      for (const [, target = ""] of read(page).matchAll(/<(?:a|img)[^>]*\s(?:href|src)="([^"]*)"/g)) {
        if (/^(?:https:|data:)/.test(target)) continue;
        const [file = "", anchor = ""] = target.split("#");
        const found =
          file === "" ? page : path.posix.join(path.posix.dirname(page), decodeURIComponent(file));
        const isThere =
          known.has(found) && (anchor === "" || anchorsOf(found).has(decodeURIComponent(anchor)));
        if (!isThere) broken.add(`${page}: ${target}`);
      }
    expect([...broken].slice(0, 20)).toEqual([]);
  });

  describe("in a browser", () => {
    let browser: Browser;
    beforeAll(async () => (browser = await launchBrowser()));
    afterAll(() => browser.close());

    test.each(["light", "dark"] as const)(
      "finds a layer by its name, without a network, in %s",
      async (colorScheme) => {
        const context = await browser.newContext({ colorScheme, offline: true });
        const page = await context.newPage();
        const failures: string[] = [];
        // Browsers refuse a page's use of another file's icons; TypeDoc's script brings them then.
        page.on("requestfailed", (request) => {
          if (!request.url().endsWith("/assets/icons.svg")) failures.push(request.url());
        });
        page.on("pageerror", (error) => void failures.push(error.message));
        await page.goto(`file://${path.join(site, "index.html")}`);
        await page.locator("#tsd-search-trigger").click();
        await page.locator("#tsd-search-input").fill("MultiheadAttention");
        await page.locator("#tsd-search-results a", { hasText: "MultiheadAttention" }).first().click();
        await page.getByRole("heading", { name: "Class MultiheadAttention" }).waitFor();
        const folder = inRoot("test/results/screenshots");
        fs.mkdirSync(folder, { recursive: true });
        await page.screenshot({ path: path.join(folder, `api-${colorScheme}.png`) });
        expect(failures).toEqual([]);
        await context.close();
      },
    );
  });
});
