// The whole op table: importing this file defines every op.
import "./movement.ts";
import "./slicing.ts";
import "./elementwise.ts";
import "./activations.ts";
import "./matmul.ts";
import "./convolution.ts";
import "./volumes.ts";
import "./batchNorm.ts";
import "./layerNorm.ts";
import "./affine.ts";
import "./pooling.ts";
import "./reduction.ts";
import "./indexing.ts";
import "./embedding.ts";
import "./scan.ts";
import "./math.ts";
import "./loss.ts";
import "./ctc.ts";
import "./special.ts";
import "./matrices.ts";
import "./update.ts";
import "./recurrent/rnn.ts";
import "./recurrent/gru.ts";
import "./recurrent/lstm.ts";

export { OPS } from "../op.ts";
