// Gives tensors their methods. Imported by the public index alone: functions don't depend on it.
import "./methods/complex.ts";
import "./methods/functions.ts";
import "./methods/overloads.ts";
import "./methods/properties.ts";
import "./methods/sparse.ts";
import { describeTensor, openInViewer, propertiesOf, viewer } from "./core/debug.ts";
import { TensorError } from "./core/errors.ts";
import { item } from "./functions/creation/conversion.ts";
import { unbind } from "./functions/shape/parts.ts";
import { installAs } from "./methods/install.ts";
import { formatTensor } from "./core/print.ts";
import { pyFloat } from "./core/pyFloat.ts";
import { Parameter, Tensor } from "./core/tensor.ts";
import { hasExecutor } from "./planning/barrier.ts";

declare module "./core/tensor.ts" {
  interface Tensor {
    /** The tensor as PyTorch prints it. Computes its values. */
    toString(): string;
    /** The elements along dimension 0, one by one: views. */
    [Symbol.iterator](): IterableIterator<Tensor>;
    /**
     * A number where JavaScript wants one (`Math.max(loss)`), else text: in `${loss}`, of a tensor without dimensions the
     * number, as in Python's f"{loss}".
     */
    [Symbol.toPrimitive](hint: string): string | number;
  }
}

installAs("toString", formatTensor);
// Shown by console.log in Node.
installAs(Symbol.for("nodejs.util.inspect.custom"), formatTensor);
// Shown by VS Code's debugger; when a tensor is expanded, editor/attachDebugger.ts requests the second.
installAs(Symbol.for("debug.description"), describeTensor);
installAs(Symbol.for("layerwise.properties"), propertiesOf);
// Requested by "View Tensor" of a paused training, see editor/panels/debuggedTensor.ts.
installAs(Symbol.for("layerwise.view"), openInViewer);
Reflect.set(globalThis, Symbol.for("layerwise.viewer"), viewer);
installAs(Symbol.iterator, (x: Tensor): IterableIterator<Tensor> => {
  if (x.ndim === 0) throw new TensorError("value", "iteration over a 0-d tensor");
  return unbind(x)[Symbol.iterator]();
});
installAs(Symbol.toPrimitive, (x: Tensor, hint: string): string | number | boolean =>
  hint === "number" ? item(x) : hint === "string" ? formatted(x) : formatTensor(x),
);

/** PyTorch's `format(x, "")`, which an f-string writes. */
function formatted(x: Tensor): string {
  // A preview has no values; PyTorch writes parameters as they print.
  const isNumber = x.ndim === 0 && x.dtype !== "complex64" && !(x instanceof Parameter);
  if (!isNumber || (!hasExecutor() && x.value.data === undefined)) return formatTensor(x);
  const value = item(x);
  if (typeof value === "boolean") return value ? "True" : "False";
  return x.dtype === "float32" ? pyFloat(value) : String(value);
}
