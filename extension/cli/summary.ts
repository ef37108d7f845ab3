import type { Command } from "commander";
import type { ModelReport, SummaryRow } from "../protocol/preview.ts";
import {
  action,
  commonOptions,
  examples,
  parseTarget,
  printErrors,
  printJson,
  targetDescription,
} from "./command.ts";
import { EXIT } from "./exit.ts";
import { inspectFile, requireModels, selectModels } from "./inspect.ts";
import { table } from "./render.ts";

export function register(program: Command): void {
  const command = program
    .command("summary")
    .description("layers of a model with shapes, parameters and multiply-adds, without computing anything")
    .argument("<file>", targetDescription.replace("default: the default export", "default: all models"));
  commonOptions(command, ["json"]);
  examples(
    command,
    `
Shapes are those of one batch of the experiment's data.

Examples:
  layerwise summary digits.nn.ts
  layerwise summary digits.nn.ts --json | jq .parameters.total`,
  ).action(action(summary));
}

async function summary(argument: string, { json }: { json?: boolean }): Promise<number> {
  const target = parseTarget(argument);
  const models = selectModels(await inspectFile(target.file), target);
  requireModels(models, target.file);
  models.forEach((model, i) => {
    if (json === true) return printJson(model);
    const lines = summaryTable(model);
    return process.stdout.write(`${i === 0 ? "" : "\n"}${lines.join("\n")}\n`);
  });
  const errors = models.flatMap(({ error }) => (error === undefined ? [] : [error]));
  if (json !== true) printErrors(errors, false);
  return errors.length > 0 ? EXIT.failure : 0;
}

const count = (value: number): string => value.toLocaleString("en");
const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(2);

/** torchinfo's table: a tree of layers, what goes in and out, and the totals. */
export function summaryTable(model: ModelReport): string[] {
  const header = ["Layer (type:depth-idx)", "Input Shape", "Output Shape", "Param #", "Mult-Adds"];
  const names = treeNames(model.rows);
  const body = model.rows.map((row, i) => [
    names[i]!,
    row.inputShape ?? "--",
    row.outputShape ?? "--",
    parameterText(ownParameters(model.rows, i)),
    row.multiplyAdds === undefined ? "--" : count(row.multiplyAdds),
  ]);
  const [head, ...lines] = table([header, ...body], [false, false, false, true, true]);
  const rule = "=".repeat(Math.max(head!.length, ...lines.map((line) => line.length)));
  const { total, trainable } = model.parameters;
  const activations = model.activationBytes;
  return [
    rule,
    head!,
    rule,
    ...lines,
    rule,
    `Total params: ${count(total)}`,
    `Trainable params: ${count(trainable)}`,
    `Non-trainable params: ${count(total - trainable)}`,
    ...(model.multiplyAdds === undefined ? [] : [`Total mult-adds: ${count(model.multiplyAdds)}`]),
    rule,
    `Params size (MB): ${megabytes(model.parameterBytes)}`,
    ...(activations === undefined ? [] : [`Forward pass size (MB): ${megabytes(activations)}`]),
    rule,
  ];
}

/** Parameters; brackets when none of them is trained, dashes when there are none. */
function parameterText({ parameters, trainable }: Pick<SummaryRow, "parameters" | "trainable">): string {
  if (parameters === 0) return "--";
  return trainable === 0 ? `(${count(parameters)})` : count(parameters);
}

/** What a module has without its children, whose rows follow. */
function ownParameters(
  rows: readonly SummaryRow[],
  index: number,
): Pick<SummaryRow, "parameters" | "trainable"> {
  const { depth } = rows[index]!;
  let { parameters, trainable } = rows[index]!;
  for (const child of rows.slice(index + 1)) {
    if (child.depth <= depth) break;
    if (child.depth > depth + 1) continue;
    parameters -= child.parameters;
    trainable -= child.trainable;
  }
  // Children that share parameters have them all.
  return { parameters: Math.max(parameters, 0), trainable: Math.max(trainable, 0) };
}

/** `├─Conv2d: 1-1`: the class, its depth, and its number among those of the same depth. */
function treeNames(rows: readonly SummaryRow[]): string[] {
  const seen = new Map<number, number>();
  return rows.map(({ depth, className }, i) => {
    if (depth === 0) return className;
    const index = (seen.get(depth) ?? 0) + 1;
    seen.set(depth, index);
    let prefix = "";
    for (let level = 1; level < depth; level++) prefix += continues(rows, i, level) ? "│    " : "     ";
    return `${prefix}${continues(rows, i, depth) ? "├─" : "└─"}${className}: ${depth}-${index}`;
  });
}

/** Whether another row of `level` follows before the branch ends. */
function continues(rows: readonly SummaryRow[], from: number, level: number): boolean {
  for (let i = from + 1; i < rows.length; i++) {
    const { depth } = rows[i]!;
    if (depth === level) return true;
    if (depth < level) return false;
  }
  return false;
}
