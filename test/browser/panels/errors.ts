/** Errors as the engine sends them. */
import type { UserError } from "../../../extension/protocol/errors.ts";
import { FILE } from "./recordings.ts";

export const shapeError = (): UserError => ({
  code: "shape",
  message: "mat1 and mat2 shapes cannot be multiplied (32x128 and 512x64)",
  position: { file: FILE, line: 31, column: 18 },
  stack: [
    { file: FILE, line: 31, column: 18 },
    { file: FILE, line: 52, column: 20 },
  ],
  module: "fc1",
  hint: "The layer before gives 128 features: new nn.Linear(128, 64) would fit.",
});

export const syntaxError = (): UserError => ({
  code: "syntax",
  message: 'Expected ")" but found ";"',
  position: { file: FILE, line: 14, column: 41 },
});

export const nanError = (): UserError => ({
  code: "non-finite",
  message: "The loss is NaN at step 243 (epoch 8). The output of Conv2d has 4,608 NaN.",
  position: { file: FILE, line: 31, column: 18 },
  module: "conv2",
  hint: "try a smaller learning rate, gradientClipVal: 1, or normalised inputs; detectAnomaly: true looks at every step",
});
