import {
  attr,
  scalar,
  vector,
  type Loop,
  type Stepped,
  type TfAttribute,
  type TfBuilder,
  type TfRef,
  type TfStep,
} from "../../../tensor/lowering/lowering.ts";
import type { DType, HostArray } from "../../../tensor/core/dtype.ts";
import type { Shape } from "../../../tensor/core/shape.ts";

/** Builder of the graph that a loop is written into. */
export interface LoopHost extends TfBuilder {
  /** Adds an input to a node that is written already: the back edge of a loop. */
  addInput(node: TfRef, input: TfRef): void;
}

const T = attr.type("float32");
const INDEX = attr.type("int64");

/** Writes the nodes of a loop's body. Values from outside, constants included, enter the loop's frame first. */
class BodyBuilder implements TfBuilder {
  readonly #entered = new Map<TfRef, TfRef>();
  readonly #outer: TfBuilder;
  readonly #frame: string;

  constructor(outer: TfBuilder, frame: string) {
    this.#outer = outer;
    this.#frame = frame;
  }

  nodes(
    op: string,
    inputs: readonly TfRef[],
    attributes: Record<string, TfAttribute>,
    outputs: number,
  ): TfRef[] {
    return this.#outer.nodes(op, inputs, attributes, outputs);
  }

  node(op: string, inputs: readonly TfRef[], attributes: Record<string, TfAttribute>): TfRef {
    return this.#outer.node(op, inputs, attributes);
  }

  constant(data: HostArray | readonly number[], shape: Shape, dtype: DType): TfRef {
    return this.enter(this.#outer.constant(data, shape, dtype), dtype, true);
  }

  /** Lets a value from outside enter: the same in every iteration if `constant`, else the first one's. */
  enter(x: TfRef, dtype: DType, constant: boolean): TfRef {
    const known = constant ? this.#entered.get(x) : undefined;
    if (known !== undefined) return known;
    const inside = this.#outer.node("Enter", [x], {
      T: attr.type(dtype),
      frame_name: attr.string(this.#frame),
      is_constant: attr.bool(constant),
      parallel_iterations: attr.int(1),
    });
    if (constant) this.#entered.set(x, inside);
    return inside;
  }
}

/** A variable of the loop: its value in this iteration, and after the last one. */
interface Variable {
  readonly merge: TfRef;
  readonly dtype: DType;
  now: TfRef | undefined;
  end: TfRef | undefined;
}

/**
 * Writes a loop inside a graph, as TensorFlow's executor runs it: a frame with a merge, a switch and a back edge for
 * every variable.
 */
export function writeLoop(b: LoopHost, frame: string, loop: Loop<TfRef>, step: TfStep): Stepped<TfRef> {
  const { steps, batch, widths } = loop;
  const inner = new BodyBuilder(b, frame);
  const variable = (initial: TfRef, dtype: DType): Variable => ({
    merge: b.nodes(
      "Merge",
      [inner.enter(initial, dtype, false)],
      { T: attr.type(dtype), N: attr.int(2) },
      2,
    )[0]!,
    dtype,
    now: undefined,
    end: undefined,
  });
  const counter = variable(scalar(b, 0, "int64"), "int64");
  const state = loop.state.map((s) => variable(s, "float32"));
  // Filled in place, row by row: a new buffer each time, which no other node can see.
  const results = widths.map((width) =>
    variable(
      b.node("Empty", [vector(b, [steps, batch, width])], { dtype: T, init: attr.bool(false) }),
      "float32",
    ),
  );
  const variables = [counter, ...state, ...results];
  const more = b.node("Less", [counter.merge, scalar(inner, steps, "int64")], { T: INDEX });
  const going = b.node("LoopCond", [more], {});
  for (const v of variables) {
    const type = attr.type(v.dtype);
    const [stop, go] = b.nodes("Switch", [v.merge, going], { T: type }, 2) as [TfRef, TfRef];
    v.now = b.node("Identity", [go], { T: type });
    v.end = b.node("Exit", [stop], { T: type });
  }
  const again = (v: Variable, next: TfRef): void =>
    b.addInput(v.merge, b.node("NextIteration", [next], { T: attr.type(v.dtype) }));

  const add = (x: TfRef, y: TfRef, op = "AddV2"): TfRef => inner.node(op, [x, y], { T: INDEX });
  const now = counter.now!;
  const at = loop.backwards ? add(scalar(inner, steps - 1, "int64"), now, "Sub") : now;
  const first = add(at, scalar(inner, batch, "int64"), "Mul");
  const begin = inner.node("Pack", [first, scalar(inner, 0, "int64")], {
    N: attr.int(2),
    T: INDEX,
    axis: attr.int(0),
  });
  const { state: next, outputs } = step(
    inner,
    state.map((v) => v.now!),
    loop.sequences.map((x) =>
      inner.node("Slice", [inner.enter(x, "float32", true), begin, vector(inner, [batch, -1])], {
        T,
        Index: INDEX,
      }),
    ),
    loop.fixed.map((x) => inner.enter(x, "float32", true)),
  );
  again(counter, add(now, scalar(inner, 1, "int64")));
  state.forEach((v, i) => again(v, next[i]!));
  const place = inner.node("Reshape", [at, vector(inner, [1])], { T: INDEX, Tshape: INDEX });
  results.forEach((v, i) => {
    const row = inner.node("Reshape", [outputs[i]!, vector(inner, [1, batch, widths[i]!])], {
      T,
      Tshape: INDEX,
    });
    again(v, inner.node("InplaceUpdate", [v.now!, place, row], { T }));
  });
  return {
    state: state.map((v) => v.end!),
    outputs: results.map((v, i) =>
      b.node("Reshape", [v.end!, vector(b, [steps * batch, widths[i]!])], { T, Tshape: INDEX }),
    ),
  };
}
