// Gradients of gradients through layers whose own gradient is a fused op.
import { describe, expect, it } from "vitest";
import { nn, torch, type Tensor } from "../../../extension/nn/index.ts";
import { onEachEngine } from "../../engines.ts";

const LAYERS: Record<string, () => { layer: (x: Tensor) => Tensor; parameters: Tensor[]; shape: number[] }> =
  {
    "batch norm of images": () => made(new nn.BatchNorm2d(2), [3, 2, 2, 3]),
    "batch norm of rows": () => made(new nn.BatchNorm1d(3), [6, 3]),
    "batch norm in evaluation": () => made(new nn.BatchNorm2d(2).eval(), [3, 2, 2, 3]),
    "layer norm": () => made(new nn.LayerNorm(5), [2, 3, 5]),
    "layer norm without weights": () =>
      made(new nn.LayerNorm([2, 3], { elementwiseAffine: false }), [4, 2, 3]),
    "group norm": () => made(new nn.GroupNorm(2, 4), [2, 4, 3]),
    "instance norm": () => made(new nn.InstanceNorm1d(2, { affine: true }), [3, 2, 4]),
    "RMS norm": () => made(new nn.RMSNorm(4), [3, 4]),
  };

function made(
  layer: nn.Module & ((x: Tensor) => Tensor),
  shape: number[],
): { layer: (x: Tensor) => Tensor; parameters: Tensor[]; shape: number[] } {
  for (const p of layer.parameters()) nn.init.normal_(p, 1, 0.5);
  return { layer, parameters: layer.parameters(), shape };
}

/** Σ (∂ Σ w · sin(y) / ∂x)², its first gradient, and what it depends on. */
function penalty(layer: (x: Tensor) => Tensor, x: Tensor, w: Tensor): { value: Tensor; first: Tensor } {
  const y = layer(x);
  const [first] = torch.autograd.grad(y.sin().mul(w).sum(), x, { createGraph: true });
  return { value: first!.square().sum(), first: first! };
}

/** Running statistics that wait to be written belong to models of one executor. */
function suite(): void {
  it.each(Object.keys(LAYERS))("%s", (name) => {
    torch.manualSeed(3);
    const { layer, parameters, shape } = LAYERS[name]!();
    const [start, w] = [torch.randn(...shape), torch.randn(...shape)];
    const directions = [start, ...parameters].map((t) => torch.randn(...t.shape));

    // The gradient that is recorded is the one that isn't.
    const x = start.clone().requiresGrad_();
    const { value, first } = penalty(layer, x, w);
    const [fused] = torch.autograd.grad(layer(x).sin().mul(w).sum(), x);
    fused!.toTypedArray().forEach((g, i) => expect(g).toBeCloseTo(first.toTypedArray()[i]!, 4));

    // Its own gradient along a direction, of x and the parameters, against a difference.
    value.backward();
    const slope = [x, ...parameters]
      .map((t, i) => (t.grad === null ? 0 : t.grad.mul(directions[i]!).sum().item()))
      .reduce((a, b) => a + b);
    const at = (step: number): number => {
      const moved = start.add(directions[0]!.mul(step)).detach().requiresGrad_();
      torch.noGrad(() => parameters.forEach((p, i) => p.add_(directions[i + 1]!.mul(step))));
      const found = penalty(layer, moved, w).value.item();
      torch.noGrad(() => parameters.forEach((p, i) => p.sub_(directions[i + 1]!.mul(step))));
      return found;
    };
    const step = 2e-3;
    const measured = (at(step) - at(-step)) / (2 * step);
    expect(Math.abs(measured - slope)).toBeLessThan(0.02 * Math.abs(slope) + 0.05);
  });
}

describe("gradients of gradients", () => onEachEngine(suite));
