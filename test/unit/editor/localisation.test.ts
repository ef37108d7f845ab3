import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  BUNDLE,
  isTranslated,
  messages,
  parse,
  sourcesOf,
  syntaxOf,
  walk,
  type Node,
} from "../../../scripts/l10n.mjs";

/** Names of functions that show their arguments to the user, and of properties that show their values. */
const SHOWING = /^(show(Information|Warning|Error)(Message)?|setStatusBarMessage|createStatusBarItem)$/;
const SHOWN =
  /^(title|label|placeHolder|placeholder|tooltip|prompt|detail|description|openLabel|saveLabel|text|textContent|innerText|ariaLabel|ariaDescription|alt)$/;
const ATTRIBUTE = /\b(?:aria-label|aria-description|aria-roledescription|title|placeholder|alt)="([^"]*)"/g;

/** Names of products and formats, and a keyword of CSS, are the same in every language. */
const SAME_EVERYWHERE = /\b(Layerwise|TensorFlow\.js|TypeScript|SVG|PNG|CSV|ONNX|TikZ|N|px|currentColor)\b/g;

/** Whether the text needs a translation. */
const isText = (text: string): boolean =>
  /\p{L}{2}/u.test(text.replaceAll(/\$\([\w~-]+\)/g, "").replaceAll(SAME_EVERYWHERE, ""));

/** The texts that an expression may have as its value. */
function textsOf(node: Node | null | undefined): string[] {
  if (!node) return [];
  switch (node.type) {
    case "Literal":
      return typeof node["value"] === "string" ? [node["value"]] : [];
    case "TemplateLiteral":
      return [(node["quasis"] as Node[]).map((part) => part["value"].cooked).join(" ")];
    case "ConditionalExpression":
      return [...textsOf(node["consequent"]), ...textsOf(node["alternate"])];
    case "LogicalExpression":
    case "BinaryExpression":
      return node["operator"] === "+" || node.type === "LogicalExpression"
        ? [...textsOf(node["left"]), ...textsOf(node["right"])]
        : [];
    default:
      return [];
  }
}

/** The words in a lit template: its text, and attributes that are read out. */
function markup(node: Node): string[] {
  const html = (node["quasi"]["quasis"] as Node[]).map((part) => part["value"].raw).join("\0");
  const attributes = [...html.matchAll(ATTRIBUTE)].map(([, value = ""]) => value);
  const text = html
    .replaceAll(/<!--.*?-->/gs, "")
    .replaceAll(/<[^>]*>/gs, "\0")
    .split("\0");
  // A template may begin or end inside a tag.
  return [...attributes, ...text.filter((part) => !/[=<>]/.test(part))].map((part) => part.trim());
}

/** Untranslated words that a file shows to the user. */
function wordsOf(tree: Node): string[] {
  const found: string[] = [];
  const add = (texts: readonly string[]): void => void found.push(...texts.filter(isText));
  walk(tree, (node) => {
    if (isTranslated(node)) return false;
    if (node.type === "CallExpression") {
      const { property } = node["callee"];
      if (SHOWING.test(property?.name ?? "")) add((node["arguments"] as Node[]).flatMap(textsOf));
      if (
        property?.name === "setAttribute" &&
        SHOWN.test(toCamelCase(textsOf(node["arguments"][0])[0] ?? ""))
      )
        add(textsOf(node["arguments"][1]));
    }
    if (node.type === "Property" && SHOWN.test(node["key"].name ?? "")) add(textsOf(node["value"]));
    if (node.type === "AssignmentExpression" && SHOWN.test(node["left"].property?.name ?? ""))
      add(textsOf(node["right"]));
    if (node.type === "TaggedTemplateExpression" && ["html", "svg"].includes(node["tag"].name))
      add(markup(node));
    return true;
  });
  return found;
}

const toCamelCase = (name: string): string =>
  name.replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase());

const inRoot = (file: string): string => readFileSync(new URL(`../../../${file}`, import.meta.url), "utf8");

describe("no text bypasses translation", () => {
  test.each(["extension/editor", "webview"])("in %s", (folder) => {
    const own = /^webview\/shared\/strings(\/\w+)?\.ts$/;
    const words = sourcesOf(folder)
      .filter((file) => !own.test(file))
      .flatMap((file) => wordsOf(syntaxOf(file)).map((text) => `${file}: ${text}`));
    expect(words).toEqual([]);
  });

  test("in the manifest", () => {
    const words: string[] = [];
    const look = (value: unknown, key = ""): void => {
      if (typeof value === "object" && value !== null)
        for (const [name, inner] of Object.entries(value)) look(inner, Array.isArray(value) ? key : name);
      else if (
        typeof value === "string" &&
        /^(title|label|name|description|markdown\w*|contents|altText)$/.test(key)
      )
        if (isText(value) && !/^%[\w.]+%$/.test(value)) words.push(`${key}: ${value}`);
    };
    const {
      commands,
      viewsWelcome,
      views,
      configuration,
      walkthroughs,
      customEditors,
      debuggers,
      taskDefinitions,
    } = JSON.parse(inRoot("package.json")).contributes;
    look({ commands, viewsWelcome, views, configuration, walkthroughs, customEditors, taskDefinitions });
    look(
      debuggers.map(
        ({ configurationSnippets: _snippets, ...rest }: object & { configurationSnippets: unknown }) => rest,
      ),
    );
    expect(words).toEqual([]);
  });

  test("and the check would notice one", () => {
    const line = (code: string): string[] => wordsOf(parse(code));
    expect(line('vscode.window.showInformationMessage("Nothing here")')).toEqual(["Nothing here"]);
    expect(line('pick({ placeHolder: on ? "Which?" : undefined })')).toEqual(["Which?"]);
    expect(line("item.tooltip = `Run ${name}`")).toEqual(["Run  "]);
    expect(line('element.setAttribute("aria-label", "Close it")')).toEqual(["Close it"]);
    expect(line('html`<p class="secondary" title="Why">${x} is here</p>`')).toEqual(["Why", "is here"]);
    expect(line('window.showErrorMessage(vscode.l10n.t("Fine"), { title: vscode.l10n.t("Also") })')).toEqual(
      [],
    );
    expect(line("button({ label: text.close, description: `${a} ${b}` })")).toEqual([]);
  });
});

test("the bundle for translators has the texts of the code, where the manifest says", () => {
  expect(messages()).toMatchObject({ Train: "Train", "{0} parameters": "{0} parameters" });
  expect(`./${BUNDLE}`).toBe(`${JSON.parse(inRoot("package.json")).l10n}/bundle.l10n.json`);
});
