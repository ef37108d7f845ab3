/** Every text of the views, in one typed place: a translation is another object of this type. */
import { architectureStrings } from "./strings/architecture.ts";
import { dataFileStrings } from "./strings/dataFile.ts";
import { dataStrings } from "./strings/data.ts";
import { historyStrings } from "./strings/history.ts";
import { evaluationStrings } from "./strings/evaluation.ts";
import { sweepStrings } from "./strings/sweep.ts";
import { onnxStrings } from "./strings/onnx.ts";
import { tensorStrings } from "./strings/tensor.ts";
import { tensorsStrings } from "./strings/tensors.ts";
import { trainingStrings } from "./strings/training.ts";
import type { Picture } from "../../extension/protocol/views.ts";
import { formatCount } from "./format.ts";

const english = {
  error: {
    inModule: (module: string) => `in ${module}`,
    calledFrom: "Called from",
    actionFailed: (action: string, reason: string) => `${action}: ${reason}`,
    dismiss: "Dismiss",
    restricted: "Not in Restricted Mode: trust the workspace first.",
    unknown: "The extension could not do this. See its log for the reason.",
  },
  pictures: {
    title: "Drawn During Training",
    units: { epoch: "Epoch", step: "Step" },
    alt: ({ name, at, unit }: Picture) =>
      unit === "epoch" ? `${name} after epoch ${at}` : `${name} at step ${formatCount(at)}`,
  },
  training: trainingStrings,
  history: historyStrings,
  elsewhere: {
    place: (name: string, atWork: boolean) => (atWork ? `Running on ${name}` : `Ran on ${name}`),
    notFollowed: "Not followed",
    attach: "Attach",
  },
  evaluation: evaluationStrings,
  sweep: sweepStrings,
  tensor: tensorStrings,
  onnx: onnxStrings,
  data: dataStrings,
  dataFile: dataFileStrings,
  architecture: architectureStrings,
  tensors: tensorsStrings,
};

export type Strings = typeof english;
export const strings: Strings = english;
