// Where the library differs from PyTorch in PyTorch's own cases, and why that stays. The tests fail for what is missing here,
// and for what is here without need.
import type { Known } from "./differences.ts";

const ONE_TYPE = "there is one floating point type";
const WHOLE = "JavaScript doesn't tell 2.0 from 2: an option that PyTorch declares a float prints as one";
const INT = "JavaScript doesn't tell 2.0 from 2: such a float is an int";
const NUMBERS = "options are numbers: a tensor is read";

export const MODULES: readonly Known[] = [
  { of: "FractionalMaxPool2d FractionalMaxPool3d NLLLoss RNN GRU LSTM", what: "arguments", reason: ONE_TYPE },
  { of: "HuberLoss", what: "arguments", reason: "a complex number is no value of JavaScript" },
  {
    of: "LinearCrossEntropyLoss",
    what: "arguments",
    reason: "all scores are computed at once: there are no options for chunks",
  },
  { of: "Softplus Softshrink", what: "text", reason: WHOLE },
  { of: "Threshold", what: "text", reason: `${WHOLE}, but for those that are ints in PyTorch's examples` },
  {
    of: "BatchNorm1d BatchNorm2d BatchNorm3d",
    what: ["0.0", "-1.0"].map((eps) => `"batch_norm eps must be positive during training, but got ${eps}"`),
    reason: `${WHOLE}, but in this message`,
  },
  {
    of: "RNN GRU LSTM",
    what: ["input", "hidden"].map((part) => `"${part}_size should be of type int, got: float"`),
    reason: INT,
  },
  { of: "LogSoftmax", what: `"dim must be an int or None, got <class 'float'>"`, reason: INT },
  {
    of: "Softmax LogSoftmax",
    what: `"dim must be an int or None, got <class 'bool'>"`,
    reason: "TypeScript refuses a boolean for a number",
  },
  { of: "Linear", what: "refusal of a call", reason: "layers are called by position" },
  {
    of: "TransformerEncoderLayer",
    what: "attribute activation_relu_or_gelu",
    reason: "it belongs to an implementation of PyTorch's",
  },
];

export const OPTIMIZERS: readonly Known[] = [
  {
    of: "Adadelta Adafactor Adagrad Adam AdamW Adamax ASGD Muon NAdam RAdam RMSprop Rprop SGD",
    what: "groups with tensors",
    reason: NUMBERS,
  },
  { of: "Adam AdamW Adamax NAdam RAdam", what: "text with tensors", reason: NUMBERS },
  { of: "ASGD Muon", what: "text", reason: WHOLE },
  { of: "Adam AdamW RAdam", what: '"Invalid weight_decay value: -1"', reason: WHOLE },
  {
    of: "Adafactor",
    what: `"'float' object is not subscriptable"`,
    reason: "TypeScript refuses a number for a pair",
  },
  { of: "Adafactor Muon SparseAdam", what: "arguments", reason: "parameters are real and dense" },
];

export const SCHEDULES: readonly Known[] = [
  {
    of: "CosineAnnealingWarmRestarts OneCycleLR ReduceLROnPlateau",
    what: "order of the state",
    reason: "the order of a state's entries is that of the class's fields",
  },
];
