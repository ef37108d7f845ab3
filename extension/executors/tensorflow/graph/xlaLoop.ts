import {
  attr,
  scalar,
  vector,
  type Loop,
  type Stepped,
  type TfBuilder,
  type TfRef,
  type TfStep,
} from "../../../tensor/lowering/lowering.ts";
import { DATA_TYPE } from "../../dataTypes.ts";
import type { GraphAttribute, GraphFunction } from "./graphDef.ts";

const T = attr.type("float32");
const INDEX = attr.type("int64");

/** Builder of the function body that a loop is written into. */
export interface FunctionHost extends TfBuilder {
  readonly graph: GraphFunction["nodes"];
  readonly functions: GraphFunction[];
  nodes(
    op: string,
    inputs: readonly TfRef[],
    attributes: Record<string, GraphAttribute>,
    outputs: number,
  ): TfRef[];
  argument(name: string): TfRef;
  result(ref: TfRef): string;
}

/** A value that a loop carries from step to step. */
interface Carried {
  readonly name: string;
  readonly type: number;
  readonly ref: TfRef;
}

/**
 * Writes a loop inside a graph that XLA compiles: one function for the step, which compiles fast for any number of
 * steps. Adds its functions to the builder's.
 * @param functionBuilder makes the builders of both functions
 */
export function writeXlaLoop(
  b: FunctionHost,
  name: string,
  { steps, batch, backwards, state, sequences, fixed, widths }: Loop<TfRef>,
  step: TfStep,
  functionBuilder: () => FunctionHost,
): Stepped<TfRef> {
  const float = (prefix: string) => (ref: TfRef, i: number) => ({
    name: `${prefix}${i}`,
    type: DATA_TYPE.float32,
    ref,
  });
  const reshape = (of: FunctionHost, x: TfRef, shape: readonly number[]): TfRef =>
    of.node("Reshape", [x, vector(of, shape)], { T, Tshape: INDEX });
  const carried: Carried[] = [
    { name: "i", type: DATA_TYPE.int64, ref: scalar(b, 0, "int64") },
    ...state.map(float("s")),
    ...widths
      .map((width) =>
        b.node("Fill", [vector(b, [steps, batch, width]), scalar(b, 0, "float32")], { T, index_type: INDEX }),
      )
      .map(float("r")),
    ...sequences.map((x) => reshape(b, x, [steps, batch, -1])).map(float("q")),
    ...fixed.map(float("f")),
  ];

  const cond = functionBuilder();
  const less = cond.node("Less", [cond.argument("i"), scalar(cond, steps, "int64")], { T: INDEX });
  const inner = functionBuilder();
  const i = inner.argument("i");
  const at = backwards ? inner.node("Sub", [scalar(inner, steps - 1, "int64"), i], { T: INDEX }) : i;
  const zero = scalar(inner, 0, "int64");
  const stepped = step(
    inner,
    state.map((_, k) => inner.argument(`s${k}`)),
    sequences.map((_, k) =>
      inner.node("GatherV2", [inner.argument(`q${k}`), at, zero], {
        Tparams: T,
        Tindices: INDEX,
        Taxis: INDEX,
        batch_dims: attr.int(0),
      }),
    ),
    fixed.map((_, k) => inner.argument(`f${k}`)),
  );
  const begin = inner.node("Pack", [at, zero, zero], { N: attr.int(3), T: INDEX, axis: attr.int(0) });
  const next = new Map<string, TfRef>([
    ["i", inner.node("AddV2", [i, scalar(inner, 1, "int64")], { T: INDEX })],
    ...stepped.state.map((ref, k) => [`s${k}`, ref] as const),
    ...stepped.outputs.map((ref, k) => {
      const row = reshape(inner, ref, [1, batch, widths[k]!]);
      const given = [inner.argument(`r${k}`), row, begin];
      return [`r${k}`, inner.node("XlaDynamicUpdateSlice", given, { T, Tindices: INDEX })] as const;
    }),
  ]);
  const functions: GraphFunction[] = [
    {
      name: `${name}_more`,
      inputs: carried,
      outputs: [{ name: "more", type: DATA_TYPE.bool, input: cond.result(less) }],
      nodes: cond.graph,
    },
    {
      name: `${name}_step`,
      inputs: carried,
      outputs: carried.map((c) => {
        const made = next.get(c.name);
        return {
          name: `${c.name}_next`,
          type: c.type,
          input: made === undefined ? c.name : inner.result(made),
        };
      }),
      nodes: inner.graph,
    },
  ];
  b.functions.push(...inner.functions, ...functions);
  const ends = b.nodes(
    "While",
    carried.map(({ ref }) => ref),
    {
      T: { kind: "dataTypes", value: carried.map(({ type }) => type) },
      cond: { kind: "function", value: `${name}_more` },
      body: { kind: "function", value: `${name}_step` },
      output_shapes: { kind: "shapes", value: carried.map(() => undefined) },
      parallel_iterations: attr.int(1),
    },
    carried.length,
  );
  return {
    state: state.map((_, k) => ends[1 + k]!),
    outputs: widths.map((width, k) => reshape(b, ends[1 + state.length + k]!, [steps * batch, width])),
  };
}
