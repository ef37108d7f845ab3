import type { TableOptions } from "../../protocol/summary.ts";
import { formatShape } from "../../tensor/core/shape.ts";
import { type LayerInfo, sum } from "./layerInfo.ts";

const TITLES: Readonly<Record<ColumnName, string>> = {
  kernel_size: "Kernel Shape",
  input_size: "Input Shape",
  output_size: "Output Shape",
  num_params: "Param #",
  params_percent: "Param %",
  mult_adds: "Mult-Adds",
  trainable: "Trainable",
};

/** A column of the table, by torchinfo's name of it. */
export type ColumnName = TableOptions["colNames"][number];

/** A setting of the rows, by torchinfo's name of it. */
export type RowSetting = TableOptions["rowSettings"][number];

/** Columns that only a call of the model can fill. */
export const OF_CALLS: readonly ColumnName[] = ["input_size", "output_size", "mult_adds"];

/** Contents of the table. */
export interface Totals {
  /** Its rows. */
  readonly summaryList: readonly LayerInfo[];
  /** Whether the model was called: without it there are no shapes and no multiply-adds. */
  readonly called: boolean;
  /** Number of values in all parameters; a shared one counts once. */
  readonly totalParams: number;
  readonly trainableParams: number;
  /** Multiply-adds of one forward pass. */
  readonly totalMultAdds: number;
  /** Bytes of the input. */
  readonly totalInput: number;
  /** Bytes of the outputs of layers with parameters, twice: once more for the gradients. */
  readonly totalOutputBytes: number;
  readonly totalParamBytes: number;
}

/** torchinfo's table of a model. */
export function table(model: Totals, options: TableOptions): string {
  const layout = new Layout(model, options);
  const rule = "=".repeat(layout.width);
  const { totalParams, trainableParams, totalInput, totalOutputBytes, totalParamBytes } = model;
  const lines = [
    rule,
    layout.header(),
    rule,
    ...model.summaryList.flatMap((row) => layout.rows(row)),
    rule,
    `Total params: ${count(totalParams)}`,
    `Trainable params: ${count(trainableParams)}`,
    `Non-trainable params: ${count(totalParams - trainableParams)}`,
  ];
  if (model.called)
    lines.push(
      `Total mult-adds ${scaled(model.totalMultAdds)}`,
      rule,
      `Input size (MB): ${megabytes(totalInput)}`,
      `Forward/backward pass size (MB): ${megabytes(totalOutputBytes)}`,
      `Params size (MB): ${megabytes(totalParamBytes)}`,
      `Estimated Total Size (MB): ${megabytes(totalInput + totalOutputBytes + totalParamBytes)}`,
    );
  return [...lines, rule].join("\n");
}

/** Spaces that a level of the tree is indented by. */
const INDENT = 5;

class Layout {
  readonly #model: Totals;
  readonly #options: TableOptions;
  readonly #settings: ReadonlySet<RowSetting>;
  readonly #nameWidth: number;

  constructor(model: Totals, options: TableOptions) {
    this.#model = model;
    const { colNames } = options;
    this.#options = {
      ...options,
      colNames: model.called ? colNames : colNames.filter((name) => !OF_CALLS.includes(name)),
    };
    this.#settings = new Set(options.rowSettings);
    const longest = Math.max(
      ...model.summaryList.map((row) => this.#name(row).length + row.depth * INDENT + 1),
    );
    this.#nameWidth = longest < 40 ? 40 : Math.ceil(longest / INDENT) * INDENT;
  }

  get width(): number {
    return this.#options.colNames.length * this.#options.colWidth + this.#nameWidth;
  }

  header(): string {
    const name = this.#settings.has("var_names") ? " (var_name)" : "";
    return this.#line(`Layer (type${name}${this.#settings.has("depth") ? ":depth-idx" : ""})`, TITLES);
  }

  /** The lines of a row: none, where it is too deep; its weights follow it, where they are shown. */
  rows(row: LayerInfo): string[] {
    const { depth, verbose } = this.#options;
    if (row.depth > depth || (row.isRecursive && this.#settings.has("hide_recursive_layers"))) return [];
    const line = this.#line(`${this.#branch(row.depth)}${this.#name(row)}`, {
      kernel_size: kernelText(row.facts.kernelSize),
      input_size: shapeText(row.inputSize),
      output_size: shapeText(row.outputSize),
      num_params: this.#paramsText(row),
      params_percent: this.#percentText(row),
      mult_adds: this.#multAddsText(row),
      trainable: trainableText(row),
    });
    return verbose < 2 ? [line] : [line, ...this.#weights(row)];
  }

  #weights({ depth, facts: { weights } }: LayerInfo): string[] {
    const shown = depth > 0 ? weights : weights.filter(({ name }) => !name.includes("."));
    return shown.map(({ name, shape, numel, trainable }, i) => {
      const frozen = !trainable && !this.#options.torchinfo;
      const [out, into, ...rest] = shape;
      // A layer's own weight is shown with its input size first.
      const kernel = name === "weight" && into !== undefined ? [into, out!, ...rest] : shape;
      return this.#line(`${this.#branch(depth + 1)}${name}`, {
        kernel_size: formatShape(kernel),
        num_params: `${i === shown.length - 1 ? "└─" : "├─"}${countText(numel, frozen)}`,
      });
    });
  }

  #line(name: string, cells: Readonly<Partial<Record<ColumnName, string>>>): string {
    const { colNames, colWidth } = this.#options;
    const columns = colNames.map((column) => (cells[column] ?? "").padEnd(colWidth));
    return [name.padEnd(this.#nameWidth), ...columns].join(" ").trimEnd();
  }

  #branch(depth: number): string {
    const ascii = this.#settings.has("ascii_only");
    if (depth === 0) return "";
    if (depth === 1) return ascii ? "+ " : "├─";
    return (ascii ? "|    " : "│    ").repeat(depth - 1) + (ascii ? "+ " : "└─");
  }

  #name(row: LayerInfo): string {
    const name = this.#settings.has("var_names") ? ` (${row.place.varName})` : "";
    const index = this.#settings.has("depth") && row.depth > 0 ? `: ${row.depth}-${row.depthIndex}` : "";
    return `${row.className}${name}${index}`;
  }

  /** Whether the row stands for all that is below it. */
  #isLast(row: LayerInfo): boolean {
    return row.facts.isLeaf || row.depth === this.#options.depth;
  }

  #params(row: LayerInfo): number {
    return this.#isLast(row) ? row.facts.numParams : row.leftoverParams();
  }

  #paramsText(row: LayerInfo): string {
    if (row.facts.numParams === 0) return "--";
    if (row.isRecursive) return "(recursive)";
    const params = this.#params(row);
    if (!this.#isLast(row)) {
      if (params <= 0) return "--";
      // torchinfo shows a container's own parameters as if they were always trained.
      const frozen = !this.#options.torchinfo && row.leftoverTrainableParams() <= 0;
      return countText(params, frozen);
    }
    return countText(params, row.facts.trainableParams === 0);
  }

  #percentText(row: LayerInfo): string {
    const total = this.#model.totalParams;
    if (total > 0 && row.isRecursive) return "(recursive)";
    const params = total === 0 ? 0 : this.#params(row);
    return params === 0 ? `${" ".repeat(INDENT)}--` : `${fixed((100 * params) / total)}%`.padStart(7);
  }

  #multAddsText(row: LayerInfo): string {
    if (this.#options.torchinfo) return this.#torchinfoText(row);
    const done = this.#isLast(row) ? row.multAdds : row.ownMultAdds;
    return done === 0 ? "--" : count(done);
  }

  #torchinfoText(row: LayerInfo): string {
    const done = row.torchinfoMultAdds;
    if (done === 0 || !this.#isLast(row)) return "--";
    if (row.facts.isLeaf) return count(done);
    return count(sum(row.children, (child) => (child.facts.isLeaf ? child.torchinfoMultAdds : 0)));
  }
}

const shapeText = (shape: readonly number[]): string => (shape.length === 0 ? "--" : formatShape(shape));

function kernelText(kernel: number | readonly number[] | undefined): string {
  if (typeof kernel === "number") return String(kernel);
  return kernel === undefined ? "--" : shapeText(kernel);
}

function trainableText({ facts: { numParams, trainableParams } }: LayerInfo): string {
  if (numParams === 0) return "--";
  if (trainableParams === 0) return "False";
  return trainableParams === numParams ? "True" : "Partial";
}

const count = (value: number): string => value.toLocaleString("en-US");
/** In brackets when frozen. */
const countText = (value: number, frozen: boolean): string => (frozen ? `(${count(value)})` : count(value));

/** Made when it is needed: a process's first one takes 20 ms. */
let twoDecimals: Intl.NumberFormat | undefined;
/** `1,234.50`, rounded as Python rounds. */
function fixed(value: number): string {
  twoDecimals ??= new Intl.NumberFormat("en-US", {
    minimumFractionDigits: 2,
    maximumFractionDigits: 2,
    roundingMode: "halfEven",
  });
  return twoDecimals.format(value);
}
const megabytes = (bytes: number): string => fixed(bytes / 1e6).replaceAll(",", "");

/** `(M): 0.48`: in millions, billions or trillions. */
function scaled(value: number): string {
  const [unit, size] = value >= 1e12 ? ["T", 1e12] : value >= 1e9 ? ["G", 1e9] : ["M", 1e6];
  const scaledValue = value / size;
  return `(${unit}): ${Number.isInteger(scaledValue) ? count(scaledValue) : fixed(scaledValue)}`;
}
