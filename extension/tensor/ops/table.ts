// The whole op table: importing this file defines every op.
import "./movement/movement.ts";
import "./movement/slicing.ts";
import "./elementwise/elementwise.ts";
import "./elementwise/activations.ts";
import "./matrix/matmul.ts";
import "./spatial/convolution.ts";
import "./spatial/volumes.ts";
import "./norm/batchNorm.ts";
import "./norm/layerNorm.ts";
import "./norm/groupNorm.ts";
import "./matrix/affine.ts";
import "./spatial/pooling.ts";
import "./spatial/tiles.ts";
import "./reduction/reduction.ts";
import "./movement/indexing.ts";
import "./movement/embedding.ts";
import "./reduction/scan.ts";
import "./elementwise/math.ts";
import "./loss/loss.ts";
import "./loss/ctc.ts";
import "./elementwise/special.ts";
import "./matrix/matrices.ts";
import "./update.ts";
import "./recurrent/rnn.ts";
import "./recurrent/gru.ts";
import "./recurrent/lstm.ts";

export { OPS } from "../recording/op.ts";
