/** The host's answers on a run's layers, with as many layers and checks as a test wants. */
import type {
  LayerColumns,
  LayerHistoryMethods,
  LayerSeries,
  LayerValues,
  ShownHistogram,
  ValueKind,
} from "../../../extension/protocol/layers/history.ts";
import {
  LAST,
  LEVELS,
  type LayerPicture,
  type LayerPictureMethods,
  type PictureRow,
} from "../../../extension/protocol/layers/pictures.ts";

export interface LayerRecording {
  paths: readonly string[];
  /** Checks so far. */
  checks: number;
  advice?: LayerColumns["advice"];
  /** Pictures by layer, and the check that they are of. */
  pictures?: (column: number) => PictureRow["layers"];
}

const STEPS = 10;
const EPOCH = 34;

const stepOf = (column: number): number => STEPS * (column + 1);

/** Dead ReLUs are recognized by their names. */
const isRelu = (path: string): boolean => path.includes("relu");

function seriesOf(path: string, index: number, from: number, checks: number): LayerSeries {
  const columns = Array.from({ length: checks - from }, (_, i) => from + i);
  const part = (column: number): number => column / 60;
  const relu = isRelu(path);
  return {
    path,
    gradNorm: columns.map((at) =>
      relu ? null : Number((0.8 ** index * (0.3 + Math.exp(-part(at)))).toPrecision(4)),
    ),
    updateRatio: columns.map((at) =>
      relu ? null : Number((4e-3 * Math.exp(-part(at) / 2) * (1 + index / 8)).toPrecision(4)),
    ),
    meanActivation: columns.map((at) => Number((0.2 + 0.1 * index + part(at) / 4).toPrecision(4))),
    deadUnits: columns.map((at) => (relu ? Math.min(16, Math.floor((at * (index + 1)) / 12)) : null)),
    units: columns.map(() => (relu ? 16 : null)),
  };
}

/** A bell, or half of one, that becomes wider. */
function histogramOf(kind: ValueKind, index: number, column: number): ShownHistogram {
  const std = kind === "gradients" ? 0.02 * Math.exp(-column / 90) : 0.1 + 0.002 * column + 0.02 * index;
  const mean = kind === "activations" ? 0.4 : 0.01 * index;
  const low = kind === "activations" ? 0 : mean - 4 * std;
  const high = mean + 4 * std;
  const bins = Array.from({ length: 32 }, (_, i) => {
    const x = low + ((high - low) * (i + 0.5)) / 32;
    return Math.round(255 * Math.exp(-0.5 * ((x - mean) / std) ** 2));
  });
  return { low, high, mean, std, bins };
}

/** A host that answers from a recording, which may grow. */
export function layerHost(
  recording: LayerRecording,
): LayerHistoryMethods & Pick<LayerPictureMethods, "layerPictures"> {
  const known = (): { generation: number; kept: number } => ({ generation: 1, kept: recording.checks });
  return {
    layers: ({ generation, kept }) => {
      const { paths, checks, advice = [] } = recording;
      if (checks === 0 && advice.length === 0) return Promise.resolve(null);
      const from = generation === 1 ? Math.min(kept, checks) : 0;
      const columns = Array.from({ length: checks - from }, (_, i) => from + i);
      return Promise.resolve({
        ...known(),
        from,
        steps: columns.map(stepOf),
        epochs: columns.map((column) => 1 + Math.floor(stepOf(column) / EPOCH)),
        layers: paths.map((path, index) => seriesOf(path, index, from, checks)),
        omitted: 0,
        advice,
      });
    },
    layerPictures: (step, have) => {
      const { pictures, checks } = recording;
      const column = step === LAST ? checks - 1 : Math.floor(step / STEPS) - 1;
      if (pictures === undefined || have.step === stepOf(column)) return Promise.resolve(null);
      const row: PictureRow = {
        step: stepOf(column),
        epoch: 1 + Math.floor(stepOf(column) / EPOCH),
        input: { kind: "sample", split: "validation", index: 0 },
        layers: pictures(column),
      };
      return Promise.resolve({ version: 1, row });
    },
    layerValues: (path) => {
      const index = recording.paths.indexOf(path);
      if (index < 0) return Promise.resolve(null);
      const columns = Array.from({ length: recording.checks }, (_, i) => i);
      const of = (kind: ValueKind): (ShownHistogram | null)[] =>
        columns.map((column) =>
          isRelu(path) && kind !== "activations" ? null : histogramOf(kind, index, column),
        );
      const values: LayerValues = {
        ...known(),
        path,
        steps: columns.map(stepOf),
        histograms: { weights: of("weights"), gradients: of("gradients"), activations: of("activations") },
      };
      return Promise.resolve(values);
    },
  };
}

/** Pictures of numbers from -1 to 1. */
export function picture(
  { drawn, height, width, ...one }: Pick<LayerPicture, "kind" | "units" | "drawn" | "height" | "width">,
  number: (unit: number, row: number, column: number) => number,
): LayerPicture {
  const bytes = Buffer.alloc(2 * drawn * height * width);
  let at = 0;
  for (let unit = 0; unit < drawn; unit++)
    for (let row = 0; row < height; row++)
      for (let column = 0; column < width; column++, at += 2)
        bytes.writeUInt16LE(Math.round((0.5 + number(unit, row, column) / 2) * LEVELS), at);
  const values = bytes.toString("base64");
  return { ...one, drawn, height, width, size: [height, width], low: -1, high: 1, values };
}
