// How TensorFlow prepares a graph for its first call.
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { groupConfig } from "../group/protos.ts";
import { field } from "./graphDef.ts";

/**
 * Grappler's passes, by their numbers in RewriterConfig (`tensorflow/core/protobuf/rewriter_config.proto`): those that are
 * switched off. They take most of the time of a first call (a transformer's 0.2 s of 0.4 s) and find next to nothing to do
 * in graphs that are written for what they are. `remapping`, which makes one kernel of a product, its bias and its
 * activation, stays.
 */
const OFF = {
  layoutOptimizer: 1,
  constantFolding: 3,
  arithmeticOptimization: 7,
  dependencyOptimization: 8,
  loopOptimization: 9,
  functionOptimization: 10,
  shapeOptimization: 13,
  scopedAllocatorOptimization: 15,
  pinToHostOptimization: 18,
  implementationSelector: 22,
  commonSubgraphElimination: 24,
};
const MEMORY_OPTIMIZATION = 4;
const META_OPTIMIZER_ITERATIONS = 12;
/** ConfigProto's `intra_op_parallelism_threads`. */
const INTRA_OP_THREADS = 2;
/** RewriterConfig's Toggle, MemOptType and NumIterationsType. */
const [TOGGLE_OFF, NO_MEMORY_OPTIMIZATION, ONE_ITERATION] = [2, 1, 1];

/**
 * A ConfigProto with these rewrite options.
 * @param threads inside an op; 0 for as many as the process has
 * @param rank of this process in a group, for a session that runs through its server
 */
export function sessionConfig(threads: number, rank?: number): Uint8Array {
  const w = new BinaryWriter();
  if (rank !== undefined) groupConfig(w, rank);
  if (threads > 0) w.tag(INTRA_OP_THREADS, WireType.Varint).int32(threads);
  field(w, 10, (graphOptions) =>
    field(graphOptions, 10, (rewriter) => {
      for (const pass of Object.values(OFF)) rewriter.tag(pass, WireType.Varint).int32(TOGGLE_OFF);
      rewriter.tag(MEMORY_OPTIMIZATION, WireType.Varint).int32(NO_MEMORY_OPTIMIZATION);
      rewriter.tag(META_OPTIMIZER_ITERATIONS, WireType.Varint).int32(ONE_ITERATION);
    }),
  );
  return w.finish();
}
