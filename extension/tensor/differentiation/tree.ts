import { Tensor } from "../core/tensor.ts";

/** Tensors in lists, plain objects and maps, as PyTorch's pytrees. */
export type Tree<T = Tensor> = T | readonly Tree<T>[] | { readonly [key: string]: Tree<T> };

const isPlain = (x: unknown): x is Record<string, unknown> =>
  typeof x === "object" && x !== null && Object.getPrototypeOf(x) === Object.prototype;

/** The same tree with other leaves: all that is no list, object or map. */
export function mapTree(tree: unknown, each: (leaf: unknown) => unknown): unknown {
  if (Array.isArray(tree)) return tree.map((x) => mapTree(x, each));
  if (tree instanceof Map) return new Map([...tree].map(([key, x]) => [key, mapTree(x, each)]));
  if (isPlain(tree))
    return Object.fromEntries(Object.entries(tree).map(([key, x]) => [key, mapTree(x, each)]));
  return each(tree);
}

/** Leaves of a tree, in order. */
export function leavesOf(tree: unknown): unknown[] {
  const out: unknown[] = [];
  mapTree(tree, (leaf) => out.push(leaf));
  return out;
}

/** Tensors of a tree, in order. */
export const tensorsOf = (tree: unknown): Tensor[] => leavesOf(tree).filter((x) => x instanceof Tensor);

/** The same tree with other tensors. */
export const mapTensors = (tree: unknown, each: (x: Tensor) => unknown): unknown =>
  mapTree(tree, (leaf) => (leaf instanceof Tensor ? each(leaf) : leaf));
