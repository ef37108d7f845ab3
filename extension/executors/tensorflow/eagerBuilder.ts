import { TF, type NativeBinding, type OpAttribute } from "../../native/binding.ts";
import { toHostArray, type DType, type HostArray } from "../../tensor/core/dtype.ts";
import type { Stepped, TfAttribute, TfBuilder, TfRef } from "../../tensor/lowering/lowering.ts";
import type { Shape } from "../../tensor/core/shape.ts";
import { DATA_TYPE } from "../dataTypes.ts";
import { upload } from "../kernels/storages.ts";

export class EagerRef implements TfRef {
  readonly __tensorflow = true;
  /** The binding's tensor id. */
  readonly id: number;

  constructor(id: number) {
    this.id = id;
  }
}

/** Runs each node at once and remembers every tensor it made, to be released together. */
export class EagerBuilder implements TfBuilder {
  /** Nodes run. */
  count = 0;
  #made = new Set<number>();
  readonly #binding: NativeBinding;

  constructor(binding: NativeBinding) {
    this.#binding = binding;
  }

  readonly read = (ref: TfRef): HostArray => this.#binding.tensorDataSync((ref as EagerRef).id) as HostArray;

  nodes(
    op: string,
    inputs: readonly TfRef[],
    attributes: Record<string, TfAttribute>,
    outputs: number,
  ): EagerRef[] {
    this.count++;
    const ids = inputs.map((r) => (r as EagerRef).id);
    return this.#binding
      .executeOp(op, Object.entries(attributes).map(convert), ids, outputs)
      .map(({ id }) => this.#own(id));
  }

  node(op: string, inputs: readonly TfRef[], attributes: Record<string, TfAttribute>): EagerRef {
    return this.nodes(op, inputs, attributes, 1)[0]!;
  }

  constant(data: HostArray | readonly number[], shape: Shape, dtype: DType): EagerRef {
    const values = Array.isArray(data) ? toHostArray(data, dtype) : (data as HostArray);
    return this.#own(upload(this.#binding, values, shape, dtype));
  }

  step(step: () => Stepped<TfRef>): Stepped<TfRef> {
    return this.#scoped(step, ({ state, outputs }) => [...state, ...outputs]);
  }

  /** Runs one op. Each of its outputs is a tensor of its own; what else it made is deleted. */
  op(run: () => readonly TfRef[]): readonly EagerRef[] {
    const outputs = (): EagerRef[] => {
      const met = new Set<number>();
      return (run() as readonly EagerRef[]).map((ref) => {
        if (!this.#made.has(ref.id) || met.has(ref.id)) return this.node("Identity", [ref], {});
        met.add(ref.id);
        return ref;
      });
    };
    return this.#scoped(outputs, (refs) => refs);
  }

  /** Runs `body` and deletes what it made, except for `kept`. */
  #scoped<T>(body: () => T, kept: (result: T) => readonly TfRef[]): T {
    const outer = this.#made;
    const own = (this.#made = new Set<number>());
    try {
      const result = body();
      for (const ref of kept(result)) if (own.delete((ref as EagerRef).id)) outer.add((ref as EagerRef).id);
      return result;
    } finally {
      this.#made = outer;
      for (const id of own) this.#binding.deleteTensor(id);
    }
  }

  /** Deletes a tensor that this builder made. */
  free({ id }: EagerRef): void {
    if (this.#made.delete(id)) this.#binding.deleteTensor(id);
  }

  /** The caller keeps this tensor: it outlives {@link release}. */
  take(ref: EagerRef): number {
    // A value taken twice needs an id of its own for each owner.
    if (this.#made.delete(ref.id)) return ref.id;
    return this.#binding.executeOp("Identity", [], [ref.id], 1)[0]!.id;
  }

  release(): void {
    for (const id of this.#made) this.#binding.deleteTensor(id);
    this.#made.clear();
  }

  #own(id: number): EagerRef {
    this.#made.add(id);
    return new EagerRef(id);
  }
}

function convert([name, a]: [string, TfAttribute]): OpAttribute {
  switch (a.kind) {
    case "type":
      return { name, type: TF.TF_ATTR_TYPE, value: DATA_TYPE[a.value] };
    case "int":
    case "ints":
      return { name, type: TF.TF_ATTR_INT, value: a.value };
    case "float":
    case "floats":
      return { name, type: TF.TF_ATTR_FLOAT, value: a.value };
    case "bool":
      return { name, type: TF.TF_ATTR_BOOL, value: a.value };
    case "string":
      return { name, type: TF.TF_ATTR_STRING, value: a.value };
    case "shape":
      return { name, type: TF.TF_ATTR_SHAPE, value: a.value };
  }
}
