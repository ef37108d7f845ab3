/** Texts of pictures of layers; part of shared/strings.ts. */
import { formatCount } from "../format.ts";

const units = { plane: "Unit", map: "Channel", attention: "Head" };

export const pictureStrings = {
  show: "Pictures",
  showHint: "Draw in each box what its layer gives",
  title: { plane: "Units over the inputs", map: "Feature maps", attention: "Attention" },
  decision: "Decision boundary",
  more: (count: number) => `+ ${formatCount(count)} more`,
  of: (drawn: number, all: number) => `The first ${formatCount(drawn)} of ${formatCount(all)}.`,
  above: "above 0",
  below: "below 0",
  strongest: (most: string) => `strongest at ±${most}`,
  plane: (x: string, y: string) => `${x} to the right, ${y} upwards, as far as the training data.`,
  sample: {
    train: (index: number) => `For sample ${formatCount(index)} of the training set.`,
    validation: (index: number) => `For sample ${formatCount(index)} of the validation set.`,
  },
  attention: "Rows are queries, columns keys.",
  size: (height: number, width: number) => `${formatCount(height)} × ${formatCount(width)}`,
  shrunk: (size: string) => `Means of ${size} numbers.`,
  caption: (kind: keyof typeof units, index: number) => `${units[kind]} ${index}`,
  describe: (kind: keyof typeof units, index: number, layer: string, at: string, low: string, high: string) =>
    `${units[kind]} ${index} of ${layer} at ${at}: ${low} to ${high}. Open in the tensor viewer`,
  nothing: (kind: keyof typeof units, index: number, layer: string, at: string) =>
    `${units[kind]} ${index} of ${layer} at ${at}: no finite numbers. Open in the tensor viewer`,
  regions: (at: string, shares: string) => `Decision boundary at ${at}: ${shares}. Open in the tensor viewer`,
  region: (name: number, share: string) => `class ${name} ${share} of the plane`,
  model: "the model",
};
