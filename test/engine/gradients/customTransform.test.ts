// A transform of one's own, written as in PyTorch. Expected values are PyTorch 2.15's.
import { expect, test } from "vitest";
import { torch, type Tensor } from "../../../extension/nn/index.ts";
import { onEachEngine } from "../../engines.ts";

const { AffineTransform, ComposeTransform, constraints, ExpTransform, Normal, Transform, transforms } =
  torch.distributions;
const { TransformedDistribution } = torch.distributions;

class Cube extends Transform {
  domain = constraints.real;
  codomain = constraints.real;
  override bijective = true;
  override sign = 1;
  readonly scale: Tensor;

  constructor(scale: Tensor, { cacheSize = 0 } = {}) {
    super({ cacheSize });
    this.scale = scale;
  }

  override _call(x: Tensor): Tensor {
    return this.scale.mul(x.pow(3));
  }

  override _inverse(y: Tensor): Tensor {
    const z = y.div(this.scale);
    return z.sign().mul(z.abs().pow(1 / 3));
  }

  override logAbsDetJacobian(x: Tensor): Tensor {
    return this.scale.mul(3).mul(x.square()).log();
  }
}

/** Only what every transform has. */
class Bare extends Transform {
  domain = constraints.real;
  codomain = constraints.real;
}

const close = (x: Tensor | null, expected: number[]): void => {
  const values = x!.tolist() as number[];
  expect(values).toHaveLength(expected.length);
  values.forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 5));
};

onEachEngine(() => {
  test("a class of one's own in a transformed distribution", () => {
    const scale = torch.tensor([0.5, 2], { requiresGrad: true });
    const cube = new Cube(scale);
    const d = new TransformedDistribution(new Normal(0.5, 1), [cube, new AffineTransform(1, -2)]);
    const y = torch.tensor([0.25, 3]);
    const score = d.logProb(y);
    score.sum().backward();
    close(score, [-1.9092233180999756, -3.7785775661468506]);
    close(scale.grad, [-0.4191986322402954, 0.004468441009521484]);
    close(d.cdf(y), [0.341431200504303, 0.9021155834197998]);
    close(d.icdf(torch.tensor([0.1, 0.8])), [-4.65451192855835, 1.1594758033752441]);
    expect([cube.inv.sign, cube.inv.bijective]).toEqual([1, true]);
    expect(new ComposeTransform([cube, new ExpTransform()]).sign).toBe(1);
    close(cube.inv(cube(y)), [0.25, 3]);
    close(cube.inv.logAbsDetJacobian(cube(y), y), [2.367123603820801, -3.9889841079711914]);
    torch.manualSeed(3);
    close(d.rsample([2]), [-1.2136516571044922, -0.2292768955230713]);
  });

  test("with cacheSize, an image inverts to the very value that it came from", () => {
    const cube = new Cube(torch.tensor([2, 0.3]), { cacheSize: 1 });
    const x = torch.tensor([0.1, 0.7]);
    expect(cube.inv(cube(x))).toBe(x);
  });

  // PyTorch's errors have no text.
  test("what a class leaves out is an error that names it", () => {
    const bare = new Bare();
    const x = torch.ones(2);
    expect(bare.bijective).toBe(false);
    expect(() => bare(x)).toThrow("Bare does not implement _call");
    expect(() => bare.inv(x)).toThrow("Bare does not implement _inverse");
    expect(() => bare.logAbsDetJacobian(x, x)).toThrow("Bare does not implement log_abs_det_jacobian");
    expect(() => bare.sign).toThrow("Bare does not implement sign");
    const folded = new TransformedDistribution(new Normal(0, 1), new transforms.AbsTransform());
    expect(() => folded.cdf(x)).toThrow("AbsTransform does not implement sign");
  });
});
