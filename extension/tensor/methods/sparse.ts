// Methods of sparse tensors, and those that make them.
import { coalesce, toDense, toSparse, transposed } from "../sparse/index.ts";
import { SparseTensor } from "../sparse/sparseTensor.ts";
import { installAs, type Method } from "./install.ts";

declare module "../core/tensor.ts" {
  interface Tensor {
    /** A sparse tensor with all its zeros; other tensors as they are. */
    toDense: Method<typeof toDense>;
    /** The elements that are not 0 as a sparse tensor. */
    toSparse: Method<typeof toSparse>;
  }
}

declare module "../sparse/sparseTensor.ts" {
  interface SparseTensor {
    /** The same tensor with equal places added up and all in order. */
    coalesce(): SparseTensor;
    /** The transpose of a sparse matrix. */
    t: () => SparseTensor;
  }
}

installAs("toDense", toDense);
installAs("toSparse", toSparse);
for (const [name, f] of Object.entries({ coalesce, t: transposed })) {
  Object.defineProperty(SparseTensor.prototype, name, {
    value(this: SparseTensor): SparseTensor {
      return f(this);
    },
    writable: true,
    configurable: true,
  });
}
