// Each way of writing text that isn't ours is tried with hostile text: no reader may find more in it than text.
import { createRequire } from "node:module";
import { runInNewContext } from "node:vm";
import { parse as parseCsv } from "csv-parse/sync";
import * as fc from "fast-check";
import { parse as parseHtml } from "parse5";
import { describe, expect, test } from "vitest";
import { codeComment, codeKey, codeString } from "../../../extension/protocol/text/code.ts";
import { csvCell } from "../../../extension/protocol/text/csv.ts";
import { labelText } from "../../../extension/protocol/text/label.ts";
import { markdownBlock, markdownCode, markdownText, md } from "../../../extension/protocol/text/markdown.ts";
import { texText, xmlText } from "../../../extension/protocol/text/markup.ts";
import { jsonText, plainLine, plainText } from "../../../extension/protocol/text/plain.ts";
import { parse as parseCode, walk } from "../../../scripts/l10n.mjs";
import { table } from "../../../extension/cli/render.ts";
import { CONTROLS, CONTROLS_IN_LINES, hostile, RUNS } from "./hostile.ts";

interface Token {
  type: string;
  content: string;
  children: Token[] | null;
}
const markdown = (
  createRequire(import.meta.url)("markdown-it") as (options: object) => {
    parse: (text: string, state: object) => Token[];
  }
)({ html: true, linkify: true });

/** Words and pictures that people write. */
const ORDINARY = [
  "SimpleNN",
  "val_loss 0.12 (best)",
  "Größe, naïve, Ångström",
  "数据集 – 分类",
  "مدل‌های آموزش",
  "क्‍ष और ज्ञ",
  "שלום עולם",
  "👩‍💻 👨‍👩‍👧 ❤️ 🏳️‍🌈 👍🏽 🇩🇪",
  "e\u0301 ñ ﷺ ∞ ≤ ½",
  "C:\\models\\net.nn.ts",
];

const check = (property: (text: string) => void): void => {
  fc.assert(fc.property(hostile, property), RUNS);
};

describe("plain text", () => {
  test("has no hidden character, and escaping twice changes nothing", () => {
    check((text) => {
      expect(plainText(text)).not.toMatch(CONTROLS_IN_LINES);
      expect(plainLine(text)).not.toMatch(CONTROLS);
      expect(plainText(plainText(text))).toBe(plainText(text));
    });
  });

  test.each(ORDINARY)("leaves %s", (text) => {
    expect(plainText(text)).toBe(text);
    expect(plainLine(text)).toBe(text);
    expect(labelText(text)).toBe(text);
  });

  test("shows what it escapes", () => {
    expect(plainText("a\u001b[31m\r\nb\u009b\r\u202e\ud800\u{e0041}\tc")).toBe(
      "a\\x1b[31m\nb\\x9b\\r\\u202e\\ud800\\u{e0041}\tc",
    );
    expect(plainLine("a\nb\tc\u200d")).toBe("a\\nb\\tc\\u200d");
  });

  test("hides no text in variation selectors, and piles up no marks", () => {
    expect(plainText("a\ufe0f\ufe01\u{e0102}")).toBe("a\ufe0f\\ufe01\\u{e0102}");
    expect(plainText(`a${"\u0301".repeat(100)}`).match(/\u0301/g)).toHaveLength(8);
  });

  test("JSON means the same, and hides nothing either", () => {
    check((text) => {
      const written = jsonText({ [text]: [text] });
      expect(written).not.toMatch(CONTROLS);
      expect(JSON.parse(written)).toEqual({ [text]: [text] });
    });
  });
});

test("a label has no link, icon, variable or second line", () => {
  // As VS Code finds them: parseLinkedText, renderLabelWithIcons, its variables.
  const link = /\[[^\]]+\]\([^)]*\)/;
  const icon = /\$\([^)]*\)?/;
  const variable = /\$\{/;
  check((text) => {
    const shown = labelText(text);
    for (const found of [link, icon, variable, CONTROLS]) expect(shown).not.toMatch(found);
  });
  expect(labelText("two\r\n  lines")).toBe("two lines");
});

describe("Markdown", () => {
  /** The text that a reader sees, if there is nothing but text in paragraphs. */
  const textOf = (tokens: readonly Token[]): string =>
    tokens
      .map(({ type, content, children }) => {
        expect(type).toMatch(
          /^(paragraph_open|paragraph_close|inline|text|text_special|hardbreak|strong_open|strong_close)$/,
        );
        return children === null ? (type === "hardbreak" ? "\n" : content) : textOf(children);
      })
      .join("");

  test("is text alone, whatever the text", () => {
    check((text) => {
      const shown = textOf(markdown.parse(markdownText(text), {}));
      expect(shown).not.toMatch(CONTROLS_IN_LINES);
      expect(shown).not.toMatch(/\$\(/);
    });
  });

  test("keeps to its place in other Markdown", () => {
    check((text) => {
      const whole = markdown.parse(md`**a${plainLine(text)}** and ${text}`.value, {});
      expect(textOf(whole)).toContain(" and");
      const table = markdown.parse(`| a | b |\n| --- | --- |\n| ${markdownText(plainLine(text))} | x |`, {});
      expect(table.filter(({ type }) => type === "td_open")).toHaveLength(2);
      expect(table.filter(({ type }) => type === "tr_open")).toHaveLength(2);
    });
  });

  test("code is one span, or one block", () => {
    check((text) => {
      const [, inline] = markdown.parse(`a ${markdownCode(text).value} b`, {});
      expect(inline!.children!.map(({ type }) => type)).toEqual(["text", "code_inline", "text"]);
      const block = markdown.parse(markdownBlock(text).value, {});
      expect(block.map(({ type }) => type)).toEqual(["fence"]);
      expect(block[0]!.content).not.toMatch(CONTROLS_IN_LINES);
    });
  });

  test("shows ordinary text unchanged", () => {
    for (const text of [...ORDINARY, "1. a_b*c* <d> [e](f) #1 - `g` $5 h@i.org"])
      expect(textOf(markdown.parse(markdownText(text), {}))).toBe(text);
  });
});

describe("a CSV file", () => {
  test("keeps its cells, none of which is a formula", () => {
    fc.assert(
      fc.property(fc.array(hostile, { minLength: 2, maxLength: 4 }), (texts) => {
        const line = texts.map(csvCell).join(",");
        const rows = parseCsv(`${line}\n`, { relax_column_count: true });
        expect(rows).toHaveLength(1);
        expect(rows[0]).toHaveLength(texts.length);
        for (const cell of rows[0]!)
          if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(cell))
            expect(cell).not.toMatch(/^\s*[=+\-@＝＋－＠]|^[\t\r\n]/);
      }),
      RUNS,
    );
  });

  test("has one cell where a spreadsheet takes semicolons or tabs to separate them", () => {
    check((text) => {
      for (const delimiter of [";", "\t"])
        for (const row of parseCsv(`${csvCell(`x${text}`)}\n`, { delimiter })) expect(row).toHaveLength(1);
    });
  });

  test("keeps numbers numbers", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(Number(csvCell(value)) === value).toBe(true);
        expect(Number(csvCell(String(value))) === value).toBe(true);
      }),
      RUNS,
    );
    expect(["-1.5", "1e-7", "+3", "=1", "-a", " =1", "＝1", "a;b"].map(csvCell)).toEqual([
      "-1.5",
      "1e-7",
      "+3",
      "'=1",
      "'-a",
      "' =1",
      "'＝1",
      '"a;b"',
    ]);
  });
});

describe("code", () => {
  const shape = (code: string): string[] => {
    const found: string[] = [];
    walk(parseCode(code), (node) => void found.push(node.type));
    return found;
  };

  test("a comment ends where it is to end, and directs nothing", () => {
    const usual = shape("/**\n * x\n */\nconst a = 1; // x\nconst b = 2;");
    check((text) => {
      const comment = codeComment(text);
      expect(shape(`/**\n * ${comment}\n */\nconst a = 1; // ${comment}\nconst b = 2;`)).toEqual(usual);
      expect(`// ${comment}`).not.toMatch(/(^|[\s/*])[@#]/);
    });
  });

  test("a string and a property's name are what they were", () => {
    const evaluate = (code: string): unknown => runInNewContext(`(${code})`);
    check((text) => {
      expect(evaluate(codeString(text))).toBe(text);
      expect(Object.keys(evaluate(`{ ${codeKey(text)}: 1 }`) as object)).toEqual([text]);
      expect(codeString(text)).not.toMatch(CONTROLS);
    });
  });
});

describe("markup", () => {
  test("SVG has one element and one attribute, whatever the text", () => {
    check((text) => {
      const page = parseHtml(
        `<body><svg><text data-a="${xmlText(text)}">${xmlText(text)}</text></svg></body>`,
      );
      const html = JSON.stringify(page, (key, value: unknown) => (key === "parentNode" ? undefined : value));
      expect(html.match(/"tagName":"\w+"/g)).toEqual(
        ["html", "head", "body", "svg", "text"].map((name) => `"tagName":"${name}"`),
      );
      expect(html.match(/"attrs":\[\{/g)).toHaveLength(1);
      expect(xmlText(text)).not.toMatch(CONTROLS);
    });
  });

  test("LaTeX has no command of the text's own", () => {
    check((text) => {
      const rest = texText(text).replaceAll(/\\text\w+\{\}|\\[#$%&_{}]/g, "");
      expect(rest).not.toMatch(/[\\#$%&_{}^~\n]/);
    });
  });
});

test("a long name is cut in a label, and widens no other row of a table", () => {
  const long = "👍".repeat(1_000);
  expect(labelText(long).length).toBeLessThanOrEqual(1001);
  expect(labelText(`a${long}`)).toMatch(/👍…$/u);
  const lines = table([
    ["name", "size"],
    ["x".repeat(1_000_000), "1"],
    ["b", "2"],
  ]);
  expect(lines[2]!.length).toBeLessThan(300);
});
