import { randomUUID } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { readRegular } from "../../files/regular.ts";
import { EngineError, type UserError } from "../../protocol/errors.ts";
import { WARNING_KINDS, type Finding } from "../../protocol/findings.ts";
import { modelTitle } from "../../protocol/modelForms.ts";
import type { CodeWarning, ModelReport } from "../../protocol/preview.ts";
import { scanSource } from "../../source/sourceScan.ts";
import { pageOf } from "../answers.ts";
import {
  ExportName,
  FileName,
  limit,
  Num,
  Offset,
  Position,
  Rest,
  ShownFinding,
  shownFinding,
  shownPosition,
} from "../schemas.ts";
import type { Services } from "../services.ts";
import { tool, type Tool } from "../tool.ts";

/** Folders that are never searched, and entries after which a search ends. */
const SKIPPED = /^(?:node_modules|dist|out|\..*)$/;
const MOST_ENTRIES = 20_000;
/** Bytes of a source file that is read for its exports. */
const MOST_SOURCE = 2 ** 20;
const MOST_EXPERIMENTS = 50;
/** Time limit of a file's own code in seconds. */
const LIMIT = 30;

export const listModels = ({ workspace }: Services): Tool =>
  tool({
    name: "list_models",
    title: "List Models",
    description:
      "Lists the .nn.ts files of the workspace and the experiments that they export, by their text: no code is run. check_file says what is in one.",
    effect: "reads",
    input: v.strictObject({ offset: Offset, limit: limit(200, 50) }),
    output: v.object({
      files: v.array(v.object({ file: v.string(), experiments: v.array(v.string()) })),
      ...Rest,
    }),
    async call({ offset, limit: most }) {
      const { items, total, next } = pageOf(await modelFiles(workspace.root), offset, most);
      const files = await Promise.all(
        items.map(async (path) => ({ file: workspace.shown(path), experiments: await experimentsIn(path) })),
      );
      return { files, total, next };
    },
  });

/** Files of models below a folder, sorted. Links are not followed. */
async function modelFiles(root: string): Promise<string[]> {
  const found: string[] = [];
  const folders = [root];
  let seen = 0;
  for (let folder = folders.pop(); folder !== undefined && seen < MOST_ENTRIES; folder = folders.pop()) {
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
    seen += entries.length;
    for (const entry of entries) {
      const path = join(folder, entry.name);
      if (entry.isDirectory() && !SKIPPED.test(entry.name)) folders.push(path);
      else if (entry.isFile() && entry.name.endsWith(".nn.ts")) found.push(path);
    }
  }
  return found.sort();
}

async function experimentsIn(path: string): Promise<string[]> {
  const bytes = await readRegular(path, { limit: MOST_SOURCE }).catch(() => undefined);
  const { experiments } = scanSource(bytes?.toString("utf8") ?? "");
  return experiments.slice(0, MOST_EXPERIMENTS).map(({ exportName }) => exportName);
}

const Problem = v.object({
  message: v.string(),
  code: v.string(),
  position: v.optional(Position),
  module: v.optional(v.string()),
  hint: v.optional(v.string()),
  fix: v.optional(v.string()),
});

const Layer = v.object({
  path: v.string(),
  className: v.string(),
  detail: v.string(),
  inputShape: v.optional(v.string()),
  outputShape: v.optional(v.string()),
  parameters: v.number(),
  trainable: v.number(),
  multiplyAdds: v.optional(Num),
});

export const checkFile = (services: Services): Tool => {
  const { workspace } = services;
  return tool({
    name: "check_file",
    title: "Check File",
    description:
      "Builds the models of a .nn.ts file without computing anything: shapes, parameter counts, errors with their lines and fixes, warnings about probable mistakes. Runs the file's top-level code.",
    effect: "runs",
    input: v.strictObject({
      file: FileName,
      model: v.optional(v.pipe(v.string(), v.maxLength(200), v.description("Layers of this model only"))),
      offset: Offset,
      limit: limit(200, 100),
    }),
    output: v.object({
      file: v.string(),
      errors: v.array(Problem),
      findings: v.array(ShownFinding),
      warnings: v.array(v.object({ code: v.string(), message: v.string(), position: Position })),
      experiments: v.array(
        v.object({
          exportName: v.string(),
          model: v.string(),
          epochs: v.number(),
          settings: v.record(v.string(), v.union([v.string(), v.number(), v.boolean()])),
        }),
      ),
      models: v.array(
        v.object({
          name: v.string(),
          parameters: v.number(),
          trainable: v.number(),
          multiplyAdds: v.optional(Num),
        }),
      ),
      layers: v.array(v.object({ model: v.string(), ...Layer.entries })),
      ...Rest,
    }),
    async call({ file, model: wanted, offset, limit: most }) {
      const path = await workspace.model(file);
      // A call of its own: another one of the same file doesn't take its place.
      const key = randomUUID();
      const report = await services.preview.inspect({ file: path, calls: true }, LIMIT, key);
      if (report === undefined)
        throw new EngineError({ code: "cancelled", message: "The inspection was cancelled." });
      const models = report.models.filter(
        (model) => wanted === undefined || model.name === wanted || modelTitle(model) === wanted,
      );
      const errors = [...report.errors, ...models.flatMap(({ error }) => error ?? [])];
      const { items, total, next } = pageOf(models.flatMap(layersOf), offset, most);
      const warnings = report.warnings ?? [];
      return {
        file: workspace.shown(path),
        errors: errors.slice(0, 50).map((error) => problemOf(error, services)),
        findings: findingsOf(warnings).map((finding) => shownFinding(finding, workspace)),
        warnings: warnings
          .filter(({ code }) => WARNING_KINDS[code] === undefined)
          .slice(0, 50)
          .map(({ code, message, position }) => ({
            code,
            message,
            position: shownPosition(position, workspace)!,
          })),
        experiments: report.experiments.slice(0, 50),
        models: models.slice(0, 50).map((model) => ({
          name: modelTitle(model),
          parameters: model.parameters.total,
          trainable: model.parameters.trainable,
          multiplyAdds: model.multiplyAdds,
        })),
        layers: items,
        total,
        next,
      };
    },
  });
};

function layersOf(model: ModelReport): ({ model: string } & v.InferInput<typeof Layer>)[] {
  return model.rows.map(
    ({ path, className, detail, inputShape, outputShape, parameters, trainable, multiplyAdds }) => ({
      model: modelTitle(model),
      path,
      className,
      detail,
      inputShape,
      outputShape,
      parameters,
      trainable,
      multiplyAdds,
    }),
  );
}

/** Warnings of a preview that a rule of findings stands for. */
export function findingsOf(warnings: readonly CodeWarning[]): Finding[] {
  return warnings.flatMap(({ code, message, position }) => {
    const kind = WARNING_KINDS[code];
    return kind === undefined ? [] : [{ kind, text: message, position }];
  });
}

function problemOf(
  { message, code, position, module, hint, layer }: UserError,
  { workspace }: Services,
): v.InferInput<typeof Problem> {
  const { fix, cast } = layer ?? {};
  const at = shownPosition(layer?.position, workspace);
  const place = at === undefined ? "" : ` in ${at.file}, line ${at.line}, column ${at.column}`;
  const change =
    fix !== undefined
      ? `Change ${fix.option} (argument ${fix.argument + 1}) of ${layer!.className}${place} to ${fix.value}.`
      : cast !== undefined
        ? `Convert the argument to ${cast}: .to("${cast}").`
        : undefined;
  return { message, code, module, hint, fix: change, position: shownPosition(position, workspace) };
}

/** The experiment that several tools take. */
export const Experiment = { file: FileName, exportName: ExportName };
