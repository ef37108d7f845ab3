import type { TableOptions } from "../../protocol/summary.ts";
import { bytesOf, type LayerInfo, sum } from "./layerInfo.ts";
import type { CallRecorder } from "./recorder.ts";
import { table, type Totals } from "./table.ts";

const INSPECT: unique symbol = Symbol.for("nodejs.util.inspect.custom");

/** torchinfo's. */
export const DEFAULTS: TableOptions = {
  colNames: ["output_size", "num_params"],
  colWidth: 25,
  depth: 3,
  rowSettings: ["depth"],
  verbose: 1,
  torchinfo: false,
};

/** Result of {@link summary}; it prints as torchinfo's table. */
export class ModelStatistics implements Totals {
  readonly summaryList: readonly LayerInfo[];
  readonly called: boolean;
  readonly totalParams: number;
  readonly trainableParams: number;
  readonly totalMultAdds: number;
  readonly totalInput: number;
  readonly totalOutputBytes: number;
  readonly totalParamBytes: number;
  readonly #options: TableOptions;

  constructor(recorder: CallRecorder, options: TableOptions = DEFAULTS) {
    const rows = recorder.rows();
    const { numParams, trainableParams, paramBytes } = recorder.factsOf(recorder.model);
    this.summaryList = rows;
    this.called = recorder.called;
    this.totalInput = bytesOf(rows[0]!.inputs);
    this.totalParams = numParams;
    this.trainableParams = trainableParams;
    this.totalParamBytes = paramBytes;
    this.totalMultAdds = sum(rows, (row) => row.ownMultAdds);
    this.totalOutputBytes = 2 * sum(rows, (row) => (row.facts.ownsParams ? row.outputBytes : 0));
    this.#options = options;
    if (!options.torchinfo) return;
    // torchinfo's leaves are the modules without children, and only they are counted.
    const leaves = rows.filter((row) => row.facts.isLeaf);
    const first = rows.filter((row) => !row.isRecursive);
    const own = (row: LayerInfo, leaf: number, leftover: number): number =>
      Math.max(row.facts.isLeaf ? leaf : leftover, 0);
    this.totalParams = sum(first, (row) => own(row, row.facts.numParams, row.leftoverParams()));
    this.trainableParams = sum(first, (row) =>
      own(row, row.facts.trainableParams, row.leftoverTrainableParams()),
    );
    this.totalParamBytes = sum(first, (row) => (row.facts.isLeaf ? row.facts.paramBytes : 0));
    this.totalMultAdds = sum(leaves, (row) => row.torchinfoMultAdds);
    this.totalOutputBytes = 2 * sum(leaves, (row) => (row.facts.numParams > 0 ? row.outputBytes : 0));
  }

  /** The table, without a line break at its end. */
  toString(): string {
    return table(this, this.#options);
  }

  [INSPECT](): string {
    return this.toString();
  }
}
