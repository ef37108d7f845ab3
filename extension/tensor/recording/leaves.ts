// Values of leaves on the host.
import { allocate, type HostArray } from "../core/dtype.ts";
import { internal, TensorError } from "../core/errors.ts";
import { numel } from "../core/shape.ts";
import type { Executor } from "../planning/executor.ts";
import type { Value } from "./graph.ts";
import { runtime } from "./runtime.ts";

/** @throws TensorError in a preview, which has no executor */
export function requireExecutor(): Executor {
  const { executor } = runtime;
  if (executor === undefined) {
    throw new TensorError(
      "preview",
      "a value was asked for (item, toTypedArray, print, if), but the preview only looks at shapes",
    );
  }
  return executor;
}

/**
 * The values of a leaf, or of a node that is computed.
 * @throws TensorError when it is a parameter's value from before an update
 */
export function dataOfLeaf(value: Value): HostArray {
  if (value.data !== undefined) return value.data;
  const leaf = value.producer;
  switch (leaf.kind) {
    case "node":
      return internal("a node that isn't computed is no leaf");
    case "data":
      return (value.data = value.read?.() ?? internal("a data leaf without data"));
    case "random":
      return (value.data = leaf.draw.values());
    case "scalar":
    case "fill":
      return (value.data = allocate(value.dtype, numel(value.shape)).fill(leaf.value));
    case "state": {
      const { storage } = leaf;
      if (storage.version === leaf.version && (storage.host ?? storage.device) !== undefined) {
        return (storage.host ??= requireExecutor().read(storage));
      }
      if (leaf.initial === undefined) {
        throw new TensorError(
          "released",
          "this value depends on parameters as they were before an update, and was not kept",
          "return it from forward, keep it as a property of the module (this.h = h), or take h.detach() there",
        );
      }
      const data = dataOfLeaf(leaf.initial);
      if (storage.version === leaf.version) storage.host = data;
      return data;
    }
  }
}

/** Brings a stored value to the host before another leaf takes its place, if recorded nodes read it. */
export function keepOverwritten(value: Value): void {
  // In a preview, which reads no values, nothing has to be kept.
  if (value.data !== undefined || value.producer.kind === "node" || runtime.executor === undefined) return;
  if (runtime.trace.isRead(value)) value.data = dataOfLeaf(value);
}
