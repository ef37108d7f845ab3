import { basename } from "node:path";
import { Option, type Command } from "commander";
import type { ValueReport } from "../protocol/preview.ts";
import { COLUMN_NAMES, ROW_SETTINGS, type TableOptions } from "../protocol/summary.ts";
import {
  action,
  commonOptions,
  examples,
  integer,
  list,
  parseTarget,
  positive,
  printErrors,
  targetDescription,
} from "./command.ts";
import { EXIT } from "./exit.ts";
import { inspectFile, requireModels, selectModels, formLine } from "./inspectModels.ts";
import { print, printJson, printStderr } from "./output.ts";

interface Options extends Omit<TableOptions, "colNames" | "colWidth" | "rowSettings" | "verbose"> {
  columns: TableOptions["colNames"];
  width: number;
  rows: TableOptions["rowSettings"];
  weights: boolean;
  json?: boolean;
}

export function register(program: Command): void {
  const command = program
    .command("summary")
    .description(
      "torchinfo's table of a model: shapes, parameters, multiply-adds; without computing anything",
    )
    .argument("<file>", targetDescription.replace("default: the default export", "default: all models"))
    .addOption(
      new Option("--columns <names>", `of ${COLUMN_NAMES.join(", ")}`)
        .argParser(list(COLUMN_NAMES))
        .default(
          ["input_size", "output_size", "num_params", "mult_adds"],
          "shapes, parameters, multiply-adds",
        ),
    )
    .option("--depth <number>", "modules deeper than this have no row", integer, 3)
    .option("--width <number>", "width of a column", positive, 20)
    .addOption(
      new Option("--rows <settings>", `of ${ROW_SETTINGS.join(", ")}`)
        .argParser(list(ROW_SETTINGS))
        .default(["depth"], "depth"),
    )
    .option("--weights", "a row for every weight", false)
    .option("--torchinfo", "count as torchinfo does, mistakes included", false);
  commonOptions(command, ["json"]);
  examples(
    command,
    `
Shapes are those of one batch of the experiment's data.

Examples:
  layerwise summary digits.nn.ts
  layerwise summary digits.nn.ts --columns kernel_size,output_size,num_params,trainable --depth 2
  layerwise summary digits.nn.ts --json | jq .parameters.total`,
  ).action(action(summary));
}

async function summary(argument: string, options: Options): Promise<number> {
  const { columns, width, rows, weights, json, depth, torchinfo } = options;
  const target = parseTarget(argument);
  const table: TableOptions = {
    colNames: columns,
    colWidth: width,
    depth,
    rowSettings: rows,
    verbose: weights ? 2 : 1,
    torchinfo,
  };
  const report = await inspectFile(target.file, json === true ? undefined : table);
  const models = selectModels(report, target);
  requireModels(models, target.file);
  models.forEach((model, i) => {
    if (json === true) return printJson(model);
    return print(`${i === 0 ? "" : "\n"}${formLine(model)}${model.summary}`);
  });
  const errors = models.flatMap(({ error }) => (error === undefined ? [] : [error]));
  if (json !== true) {
    for (const { name, reads } of models) if (reads !== undefined) printStderr(valueNote(name, reads));
    printErrors(errors, false);
  }
  return errors.length > 0 ? EXIT.failure : 0;
}

/** Says that a table is an estimate, since its model reads values. */
function valueNote(name: string, { places, complete }: ValueReport): string {
  const lines = places.map(({ file, line }) => `${basename(file)}:${line}`).join(", ");
  const consequence = complete
    ? "which is taken as 0: the table is an estimate for this case"
    : "which is not computed: what follows is missing";
  return `Note: ${name} reads a value at ${lines}, ${consequence}.`;
}
