import type { Experiment } from "../../../extension/nn/experiment/experiment.ts";
import autoencoder from "./autoencoder.nn.ts";
import bertBase from "./bert-base.nn.ts";
import cnn from "./cnn.nn.ts";
import gan from "./gan.nn.ts";
import lstm128 from "./lstm-128.nn.ts";
import lstm5 from "./lstm-5.nn.ts";
import mlp from "./mlp.nn.ts";
import mlpSgd from "./mlp-sgd.nn.ts";
import rnn from "./rnn.nn.ts";
import simple from "./simple.nn.ts";
import transformer from "./transformer.nn.ts";

/** The workloads of the bench by their names. */
export const WORKLOADS: Record<string, Experiment> = {
  simple,
  mlp,
  "mlp-sgd": mlpSgd,
  cnn,
  rnn,
  "lstm-5": lstm5,
  "lstm-128": lstm128,
  transformer,
  autoencoder,
  gan,
  "bert-base": bertBase,
};
