// `torch.autograd.grad` of and by complex tensors: their parts have the gradients.
import { TensorError } from "../core/errors.ts";
import { Tensor } from "../core/tensor.ts";
import { grad, namedArguments, unused } from "../recording/autograd.ts";
import { ComplexTensor, holdersOf, joined } from "./complexTensor.ts";
import { partsOf } from "./parts.ts";

/** The tensors of an argument; {@link grad} refuses what is none. */
const several = (x: unknown): readonly Tensor[] =>
  x instanceof Tensor ? [x] : Array.isArray(x) ? (x as Tensor[]) : [];

/** {@link grad}, with ∂L/∂re + i ∂L/∂im for a complex input. */
export const gradOfAny = ((...args: readonly unknown[]): (Tensor | null)[] => {
  const { outputs, inputs, gradOutputs, ...options } = namedArguments(args);
  const [roots, wanted] = [several(outputs), several(inputs)];
  if (![...roots, ...wanted].some((x) => x instanceof ComplexTensor))
    return (grad as (...args: readonly unknown[]) => (Tensor | null)[])(...args);
  const seeds = gradOutputs instanceof Tensor ? [gradOutputs] : (gradOutputs ?? []);
  const parts = roots.flatMap((root, i) => partsOfRoot(root, seeds[i] ?? null));
  const leaves = wanted.flatMap((x) => {
    const held = holdersOf(x);
    // A part without gradients; an input without any is refused.
    return x.requiresGrad ? held.filter((part) => part.requiresGrad) : held;
  });
  const found = grad(
    parts.map(({ root }) => root),
    leaves,
    parts.map(({ seed }) => seed),
    { ...options, allowUnused: true },
  );
  const gradientOf = (leaf: Tensor): Tensor | null =>
    leaf.requiresGrad ? (found[leaves.indexOf(leaf)] ?? null) : null;
  return wanted.map((x) => {
    const g = x instanceof ComplexTensor ? joined(gradientOf(x.re), gradientOf(x.im)) : gradientOf(x);
    if (g === null && options.allowUnused !== true) throw unused();
    return g;
  });
}) as typeof grad;

function partsOfRoot(root: Tensor, seed: Tensor | null): { root: Tensor; seed: Tensor | null }[] {
  if (!(root instanceof ComplexTensor)) return [{ root, seed }];
  if (seed === null)
    throw new TensorError(
      "autograd",
      "grad can be implicitly created only for real scalar outputs but got ComplexFloat",
    );
  const seeds = partsOf(seed);
  return holdersOf(root).flatMap((part, i) => (part.requiresGrad ? [{ root: part, seed: seeds[i]! }] : []));
}
