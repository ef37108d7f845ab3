// Files that are written for other programs: text of a stranger stays text in TypeScript, CSV, SVG, LaTeX and TensorBoard.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { runInNewContext } from "node:vm";
import { parse as parseCsv } from "csv-parse/sync";
import { transformSync } from "esbuild";
import { assert, property } from "fast-check";
import { parse as parseHtml } from "parse5";
import { beforeAll, describe, expect, it } from "vitest";
import "../../extension/engine/host/library.ts";
import { EventFile } from "../../extension/engine/reporting/eventFile.ts";
import { commandOf } from "../../extension/engine/reporting/provenance.ts";
import { encodeTypeScript } from "../../extension/engine/exporting/typescript.ts";
import { nn, torch, type Tensor } from "../../extension/nn/index.ts";
import { onnxGraph } from "../../extension/nn/onnx/graph.ts";
import type { MetricRow } from "../../extension/protocol/run.ts";
import { parse, walk } from "../../scripts/l10n.mjs";
import { chartModel } from "../../webview/training/chartModel.ts";
import { Curves } from "../../webview/training/curves.ts";
import { csvText, pgfplotsText, svgText } from "../../webview/training/exports.ts";
import { dist } from "../engine/workspace.ts";
import { hostile } from "../unit/text/hostile.ts";
import { HOSTILE, hostileRecord, STEERS } from "./hostileRun.ts";
import { useEngine } from "../engines.ts";
import { useFolder } from "../folders.ts";

const folder = useFolder("all");

const OWN = 'globalThis["owned"] = 1;';
const COMMENTS = [
  `fc\n${OWN}//`,
  `fc\r${OWN}//`,
  `fc\u2028${OWN}//`,
  `fc\u2029${OWN}//`,
  `*/ ${OWN} /*`,
  `\`\${${OWN}}\``,
  "@ts-nocheck",
  "# sourceMappingURL=data:x",
  `"); ${OWN} ("`,
  `</script>${OWN}`,
  "constructor",
  "__proto__x",
  "await",
];

class Net extends nn.Module {
  readonly key: string;
  constructor(key: string) {
    super();
    this.key = key;
    Reflect.set(this, key, new nn.Linear(4, 3));
  }
  forward(x: Tensor): Tensor {
    return (Reflect.get(this, this.key) as nn.Linear)(x);
  }
}

function exported(name: string): string {
  torch.manualSeed(0);
  const model = new Net(`layer ${name}`.replaceAll(/[./]/g, "·"));
  const graph = onnxGraph(model, [torch.zeros(1, 4)], { inputNames: ["input"], outputNames: ["output"] });
  return encodeTypeScript({ ...graph, name }, `${name}.nn.ts and its weights in ${name}`);
}

/** The kinds of its statements and expressions, in their order. */
function shape(code: string): string[] {
  const found: string[] = [];
  walk(parse(code), (node) => void found.push(node.type));
  return found;
}

useEngine("cpu");

describe("TypeScript", () => {
  it.each(COMMENTS)("names a layer, a class and a file %j", (name) => {
    const code = exported(name);
    expect(shape(code)).toEqual(shape(exported("fc")));
    expect(code).not.toMatch(/^\s*\/\/+\s*[@#]/m);
    // And it computes what it should, in a world that it leaves alone.
    const world: Record<string, unknown> = { exports: {}, Float32Array };
    runInNewContext(
      transformSync(code, { loader: "ts", format: "cjs" }).code + ";globalThis.made = module.exports",
      {
        ...world,
        module: Object.assign(world, { exports: {} }),
      },
    );
    expect(world["owned"]).toBeUndefined();
    expect(Reflect.get(globalThis, "owned")).toBeUndefined();
  });

  it("names them anything else", () => {
    const usual = shape(exported("fc"));
    assert(
      property(hostile, (name) => {
        expect(shape(exported(name))).toEqual(usual);
      }),
      { numRuns: 60 },
    );
  });

  describe.skipIf(process.platform === "win32")("on the command line", () => {
    const file = path.join(folder, `a\n${OWN}\n\u001b[2J.nn.ts`);
    const layerwise = (...args: string[]): string => {
      const { stdout, stderr } = spawnSync(
        process.execPath,
        [path.join(dist, "cli.js"), ...args, "--device", "cpu"],
        { cwd: folder, env: { ...process.env, LAYERWISE_NO_CHECK: "1" }, encoding: "utf8" },
      );
      expect((stdout + stderr).match(STEERS)?.[0]).toBeUndefined();
      return stdout + stderr;
    };

    beforeAll(() => {
      fs.writeFileSync(
        file,
        `import { torch, nn, optim, data, experiment } from "layerwise";
         export default experiment({ seed: 0, model: () => new nn.Linear(4, 3),
           data: () => new data.TensorDataset(torch.randn(4, 4), torch.randn(4, 3)), loss: new nn.MSELoss(),
           optimizer: (p) => new optim.SGD(p, { lr: 0.1 }), epochs: 1 });`,
      );
      expect(layerwise("train", file, "--out", path.join(folder, "run"))).toContain("Trained 1");
    });

    it("names the model's file so that the export runs its name", () => {
      const out = path.join(folder, "out.ts");
      const weights = path.join(folder, "run", "checkpoints", "final.safetensors");
      const args = ["--format", "typescript", "--out", out, "--checkpoint", weights];
      expect(layerwise("export", file, ...args)).toContain("Wrote");
      const code = fs.readFileSync(out, "utf8");
      expect(code).toContain(OWN);
      const names: string[] = [];
      walk(parse(code), (node) => void (node.type === "Identifier" && names.push(node["name"] as string)));
      expect(names).not.toContain("globalThis");
    });
  });
});

const row = (
  kind: MetricRow["kind"],
  step: number,
  values: Record<string, number>,
  text?: string,
): MetricRow => ({
  kind,
  step,
  epoch: step,
  time: step,
  values,
  ...(text === undefined ? {} : { text }),
});

describe("curves", () => {
  const metric = `loss ${HOSTILE}`;
  const metricsOf = (name: string): ReturnType<Curves["metrics"]> =>
    new Curves([row("step", 1, { [name]: -2.5 }), row("step", 2, { [name]: 1e-7 })], 1, 32).metrics();

  it("names a run by lines of commands, for a shell", () => {
    const version = path.join(folder, "a\ntouch owned\n\u001b[201~\rtouch owned");
    const request = { file: "net.nn.ts", exportName: "default", device: "auto", version } as const;
    const command = commandOf({ ...request, kind: "train", directory: folder, outlive: false }, {});
    expect(command).toMatch(/^layerwise train net\.nn\.ts {2}# with the version that run a\\ntouch owned/);
    expect(command.match(STEERS)?.[0]).toBeUndefined();
    expect(command.split(/[\r\n]/)).toHaveLength(1);
  });

  it("names a run or a metric as a formula, for a spreadsheet", () => {
    for (const name of [
      "=1+1",
      "+1+cmd|' /C calc'!A0",
      "-2+3",
      "@SUM(1)",
      "\t=1",
      "\r=1",
      "\n=1",
      " =1",
      "＝1",
      "a;=1",
      'a"=1',
      HOSTILE,
    ]) {
      const rows = parseCsv(csvText([{ name, metrics: metricsOf(name) }]));
      expect(rows.map((cells) => cells.length)).toEqual([7, 7, 7]);
      for (const [run, named, , , , , value] of rows.slice(1)) {
        for (const cell of [run!, named!]) {
          expect(cell).not.toMatch(/^\s*[=+\-@＝＋－＠]|^[\t\r\n]/);
          expect(cell.replaceAll("\n", "").match(STEERS)?.[0]).toBeUndefined();
        }
        expect(Number(value)).not.toBeNaN();
      }
      expect(rows[1]![6]).toBe("-2.5");
    }
  });

  const charts = [
    chartModel(metricsOf(`</text><script>${metric}`)[0]!, { axis: "step", logScale: false, smoothing: 0 }),
  ];

  it("puts elements into a metric's name, for SVG", () => {
    const colours = { background: "#fff", text: "#000", grid: "#888", colourOf: () => "#f00" };
    const svg = svgText(charts, `steps </text><script>${HOSTILE}`, colours);
    const tags = new Set(
      JSON.stringify(parseHtml(svg), (key, value: unknown) =>
        key === "parentNode" ? undefined : value,
      ).match(/"tagName":"\w+"/g),
    );
    expect([...tags].map((tag) => tag.slice(11, -1)).sort()).toEqual(
      ["body", "circle", "g", "head", "html", "line", "polyline", "rect", "svg", "text"].filter(
        (tag) => tag !== "circle" || svg.includes("<circle"),
      ),
    );
    expect(svg.match(STEERS)?.[0]).toBeUndefined();
  });

  it("puts commands into a metric's name, for LaTeX", () => {
    const name = String.raw`\input{/etc/passwd} ^^5cinput{x} $x$ %`;
    const tex = pgfplotsText(
      [chartModel(metricsOf(name)[0]!, { axis: "step", logScale: false, smoothing: 0 })],
      `a\n\n\\write18{x}`,
    );
    expect(tex).not.toMatch(/\\input|\\write18|\^\^/);
    expect(tex.match(STEERS)?.[0]).toBeUndefined();
  });
});

describe("TensorBoard", () => {
  it("puts links, HTML and table cells into settings and events", () => {
    const events = path.join(folder, "events");
    fs.mkdirSync(events);
    const file = new EventFile(events, { began: 0 });
    file.describe(hostileRecord("/w/net.nn.ts"));
    file.append([row("event", 1, {}, `event ${HOSTILE}`)]);
    file.flush();
    file.close();
    const written = fs.readFileSync(path.join(events, fs.readdirSync(events)[0]!), "utf8");
    const table = written.slice(written.indexOf("| setting | value |")).split("\0", 1)[0]!;
    expect(table).toContain("Trust");
    const markdown = (
      createRequire(import.meta.url)("markdown-it") as (options: object) => { render(text: string): string }
    )({
      html: true,
      linkify: true,
    });
    const lines = table.split("\n").filter((line) => line.startsWith("|"));
    expect(lines).toHaveLength(2 + 4);
    const html = markdown.render(lines.join("\n"));
    expect(html).not.toMatch(/<(a|img|script|h\d)\b/);
    expect(html.match(/<td>/g)).toHaveLength(2 * 4);
    const event = written.slice(written.indexOf("event \\[Trust")).split("\0", 1)[0]!;
    expect(markdown.render(event)).not.toMatch(/<(a|img|script|h\d)\b/);
    expect(event).toContain("FAKE LINE");
  });
});
