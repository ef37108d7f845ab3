import type * as tfjs from "@tensorflow/tfjs-core";
import type { DType, HostArray } from "../../tensor/dtype.ts";
import { TensorError } from "../../tensor/errors.ts";
import type { Storage, Value } from "../../tensor/graph.ts";
import type { Op, Tfjs } from "../../tensor/op.ts";
import { leafData, type Executor, type Inspector, type Plan } from "../../tensor/runtime.ts";
import { formatShape } from "../../tensor/shape.ts";
import type { Choice } from "../choices.ts";
import { naming, translated } from "../errors.ts";
import { Lowering, signatureOf, type Backend } from "../layouts.ts";

const TYPE: Record<DType, "float32" | "int32" | "bool"> = {
  float32: "float32",
  int64: "int32",
  bool: "bool",
};

/** Beyond this tfjs's kernels give wrong numbers without an error. */
const MAX_RANK = 6;

/** Runs plans op by op on a tfjs backend (wasm, or cpu): the embedded default where TensorFlow is not installed. */
export class TfjsExecutor implements Executor {
  readonly counters = { interpreted: 0, interpretedNodes: 0 };
  private readonly k: Tfjs;
  private lazy: tfjs.Tensor[] = [];
  private readonly abandoned: tfjs.Tensor[] = [];
  private readonly registry = new FinalizationRegistry<tfjs.Tensor>((t) => this.abandoned.push(t));

  constructor(k: Tfjs) {
    this.k = k;
  }

  run(plan: Plan, inspector?: Inspector): void {
    for (const t of this.abandoned.splice(0)) t.dispose();
    if (plan.assigns.length > 0) for (const t of this.lazy.splice(0)) t.dispose();
    this.counters.interpreted++;
    this.counters.interpretedNodes += plan.nodes.length;
    // Draws take their numbers in program order, before anything is computed from them.
    for (const value of plan.leaves) if (value.producer.kind === "random") leafData(value);
    try {
      this.interpret(plan, inspector);
    } catch (error) {
      throw translated(error);
    }
  }

  private interpret(plan: Plan, inspector: Inspector | undefined): void {
    const { k } = this;
    k.tidy(() => {
      const lowering = new Lowering(this.backend());
      const look = (value: Value): HostArray => read(lowering.plain(value), value.dtype);
      inspector?.begin?.();
      for (const node of plan.nodes) {
        lowering.node(node);
        inspector?.node(node, look);
      }
      inspector?.done(look);
      for (const value of plan.fetches) value.data = read(lowering.plain(value), value.dtype);
      const written = plan.assigns.map(({ value }) => k.keep(k.clone(lowering.plain(value))));
      plan.lazy.forEach((value) => {
        const t = k.keep(k.clone(lowering.plain(value)));
        this.lazy.push(t);
        value.read = () => read(t, value.dtype);
      });
      plan.assigns.forEach(({ storage }, i) => this.place(storage, written[i]!));
    });
  }

  choices(): Choice[] {
    const why = `the ${this.k.getBackend()} backend has no compiled graphs: the native engine does`;
    return [{ graph: "", about: "graph", chosen: "op by op", why }];
  }

  read(storage: Storage): HostArray {
    return read(storage.device as tfjs.Tensor, storage.dtype);
  }

  /** Live tensors of the backend, for tests of leaks. */
  get tensors(): number {
    return this.k.memory().numTensors;
  }

  private place(storage: Storage, tensor: tfjs.Tensor): void {
    (storage.device as tfjs.Tensor | undefined)?.dispose();
    this.registry.unregister(storage);
    this.registry.register(storage, tensor, storage);
    storage.device = tensor;
  }

  private backend(): Backend<tfjs.Tensor> {
    const { k } = this;
    return {
      leaf: (value) => this.leaf(value),
      lower(node, inputs) {
        const deep = node.outputs.find((v) => v.shape.length > MAX_RANK);
        if (deep !== undefined) {
          throw new TensorError(
            "unsupported",
            `${node.op.name}: the ${k.getBackend()} backend has tensors of up to ${MAX_RANK} dimensions, got ${formatShape(deep.shape)}`,
            "the native engine has no such limit: layerwise engine install",
          );
        }
        const op = node.op as unknown as Op<object>;
        const result = naming(op, () => op.tfjs(k, inputs, node.attributes, signatureOf(node)));
        return Array.isArray(result) ? (result as readonly tfjs.Tensor[]) : [result as tfjs.Tensor];
      },
      empty: (shape, dtype) => k.zeros([...shape], TYPE[dtype]),
      transpose: (x, order) => k.transpose(x, [...order]),
      reshape: (x, shape) => k.reshape(x, [...shape]),
    };
  }

  private leaf(value: Value): tfjs.Tensor {
    const leaf = value.producer;
    if (leaf.kind === "state" && leaf.version === leaf.storage.version && value.data === undefined) {
      const { storage } = leaf;
      if (storage.device === undefined) this.place(storage, this.k.keep(this.upload(leafData(value), value)));
      return storage.device as tfjs.Tensor;
    }
    return this.upload(leafData(value), value);
  }

  private upload(data: HostArray, { shape, dtype }: Value): tfjs.Tensor {
    if (data instanceof Float64Array && data.some((x) => x < -(2 ** 31) || x >= 2 ** 31)) {
      throw new TensorError("value", "integers beyond ±2³¹ can be read but not computed with");
    }
    const values = data instanceof Float64Array ? Int32Array.from(data) : data;
    return this.k.tensor(values, [...shape], TYPE[dtype]);
  }
}

/** A copy of a tensor's values: the backend's own memory moves when it grows. */
function read(t: tfjs.Tensor, dtype: DType): HostArray {
  const data = t.dataSync();
  if (dtype === "float32") return Float32Array.from(data);
  return dtype === "int64" ? Int32Array.from(data) : Uint8Array.from(data);
}
