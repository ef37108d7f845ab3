// Texts of files and folders in the HTML of a page.
import { describe, expect, it } from "vitest";
import { pageHtml } from "../../extension/editor/panels/page.ts";

describe("a text in a page", () => {
  const html = pageHtml({
    kind: "training",
    restricted: false,
    title: '"><script>steal()</script><img src=x onerror=steal()>',
    language: '"><base href="https://attacker.test/">',
    nonce: "0a1b",
    source: "https://webview.test",
    script: "https://webview.test/training.js",
    styles: ["https://webview.test/training.css"],
    font: "https://webview.test/codicon.ttf",
  });

  it("ends its element and brings a script", () => {
    expect(html.match(/<script/g)).toHaveLength(1);
    expect(html).not.toMatch(/<(?:img|base)/);
  });

  it("would run, load or send something in spite of that", () => {
    const policy = /Content-Security-Policy" content="([^"]*)"/.exec(html)?.[1] ?? "";
    const directives = new Map(
      policy.split("; ").map((text) => {
        const [name = "", ...sources] = text.split(" ");
        return [name, sources] as const;
      }),
    );
    expect(directives.get("default-src")).toEqual(["'none'"]);
    expect(directives.get("script-src")).toEqual(["'nonce-0a1b'"]);
    expect(directives.get("base-uri")).toEqual(["'none'"]);
    expect(directives.get("form-action")).toEqual(["'none'"]);
    for (const [name, sources] of directives)
      for (const source of sources)
        expect(
          ["'none'", "'nonce-0a1b'", "https://webview.test"].includes(source) ||
            `${name} ${source}` === "img-src data:" ||
            `${name} ${source}` === "worker-src blob:",
          `${name} ${source}`,
        ).toBe(true);
  });
});
