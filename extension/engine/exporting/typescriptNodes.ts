// Attributes and inputs of ONNX nodes, as the rules read them.
import type { OnnxNode } from "../../tensor/lowering/onnx.ts";
import type { Shape } from "../../tensor/core/shape.ts";
import type { Numbers, TypeScriptWriter } from "./typescriptWriter.ts";

/** Writes an ONNX node as TypeScript and returns its outputs. An omitted input is undefined. */
export type Rule = (
  w: TypeScriptWriter,
  inputs: readonly (Numbers | undefined)[],
  node: OnnxNode,
) => readonly Numbers[];

export function int({ attributes }: OnnxNode, name: string, otherwise: number): number {
  const given = attributes[name];
  return given?.kind === "int" ? given.value : otherwise;
}

export function ints({ attributes }: OnnxNode, name: string): readonly number[] | undefined {
  const given = attributes[name];
  return given?.kind === "ints" ? given.value : undefined;
}

export function epsilonOf({ attributes: { epsilon } }: OnnxNode): number {
  return epsilon?.kind === "float" ? epsilon.value : 1e-5;
}

/** Whole numbers that are known now: axes, sizes. */
export const known = (x: Numbers | undefined): number[] | undefined =>
  x?.data === undefined ? undefined : Array.from(x.data);

export const axisOf = (axis: number, shape: Shape): number => (axis < 0 ? axis + shape.length : axis);
