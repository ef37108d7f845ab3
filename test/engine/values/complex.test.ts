// Complex tensors beyond single calls (those are in test/fixtures/cases): text, memory, gradients of gradients, programs.
import { describe, expect, test } from "vitest";
import { F, nn, torch, type Tensor } from "../../../extension/nn/index.ts";
import { unit } from "../../../extension/tensor/fft/tables.ts";
import { onEachEngine, useEngine } from "../../engines.ts";

const draw = (...shape: number[]): Tensor => torch.randn(shape, { dtype: torch.cfloat });

describe("in text, as PyTorch prints them", () => {
  useEngine("cpu");
  const pair = (re: number[], im: number[]): Tensor =>
    torch.complex(new torch.FloatTensor(re), new torch.FloatTensor(im));

  test.each([
    [() => pair([1, 0], [2, -1]), "tensor([1.+2.j, 0.-1.j])"],
    [
      () => pair([1.5, NaN, 0], [2, -1, 1e10]),
      "tensor([1.5000+2.0000e+00j,    nan-1.0000e+00j, 0.0000+1.0000e+10j])",
    ],
    [() => pair([1e-5, 3], [1000, 4]), "tensor([1.0000e-05+1000.j, 3.0000e+00+4.j])"],
    [() => torch.zeros(0, { dtype: torch.cfloat }), "tensor([], dtype=torch.complex64)"],
    [() => torch.zeros(2, 0, { dtype: torch.complex64 }), "tensor([], size=(2, 0), dtype=torch.complex64)"],
    [() => pair([1], [2]).squeeze(), "tensor(1.+2.j)"],
    [() => pair([1, 0], [2, -1]).requiresGrad_(), "tensor([1.+2.j, 0.-1.j], requires_grad=True)"],
    [() => pair([1, 0], [2, -1]).requiresGrad_().mul(2), "tensor([2.+4.j, 0.-2.j], grad_fn=<MulBackward0>)"],
    [
      () => torch.fft.rfft(torch.ones(4, { requiresGrad: true })),
      "tensor([4.+0.j, 0.+0.j, 0.+0.j], grad_fn=<FftR2CBackward0>)",
    ],
    [
      () => torch.fft.rfft(torch.ones(4, { requiresGrad: true })).real,
      "tensor([4., 0., 0.], grad_fn=<SelectBackward0>)",
    ],
    [
      () => torch.fft.rfft(torch.ones(4, { requiresGrad: true })).abs(),
      "tensor([4., 0., 0.], grad_fn=<AbsBackward0>)",
    ],
    [
      () => torch.fft.irfft(torch.ones(4, { requiresGrad: true })),
      "tensor([1., 0., 0., 0., 0., 0.], grad_fn=<FftC2RBackward0>)",
    ],
    [
      () => {
        torch.manualSeed(0);
        return draw(3, 4);
      },
      `tensor([[-0.7961-0.8148j, -0.1772-0.3068j,  0.6001+0.4893j, -0.2235-1.4957j],
        [ 0.3310-0.1115j,  1.0208+0.1881j,  0.1177+0.6183j, -0.1015-0.0789j],
        [ 0.6589+0.8903j,  1.4177+0.0380j,  0.4370-0.2919j, -0.5947-1.6377j]])`,
    ],
    [
      () => {
        torch.manualSeed(0);
        return draw(2000);
      },
      `tensor([-0.7961-0.8148j, -0.1772-0.3068j,  0.6001+0.4893j,  ...,
        -0.1199-0.1168j, -0.2797+0.5022j,  0.2616-0.1340j])`,
    ],
    [
      () => {
        torch.manualSeed(0);
        return torch.rand(3, { dtype: torch.cfloat });
      },
      "tensor([0.4963+0.7682j, 0.0885+0.1320j, 0.3074+0.6341j])",
    ],
  ])("%s is %s", (make, text) => {
    expect(make().toString()).toBe(text);
  });
});

describe("what is refused, and what to do instead", () => {
  useEngine("cpu");

  test.each<[() => unknown, RegExp]>([
    [() => draw(2).max(), /does not exist for complex tensors/],
    [() => F.relu(draw(2)), /does not exist for complex tensors/],
    [() => new nn.Linear(2, 2)(draw(2)), /must have the same dtype, but got ComplexFloat and Float/],
    [() => new nn.Parameter(draw(2)), /complex parameters are not supported/],
    [() => draw(1).item(), /JavaScript has no complex numbers/],
    [() => torch.ones(2).add_(draw(2)), /result type ComplexFloat can't be cast/],
    [() => torch.ones(2).indexPut_([0], draw(1).squeeze()), /Index put requires the source and destination/],
    [() => torch.arange(3, { dtype: torch.cfloat }), /does not make complex tensors/],
    [() => draw(2).requiresGrad_().backward(), /only for real scalar outputs/],
    [
      () => {
        const module = new nn.Identity();
        module.registerBuffer("phases", draw(2));
      },
      /complex parameters and buffers are not supported/,
    ],
  ])("%s", (call, message) => {
    expect(call).toThrow(message);
  });

  test("a refusal names the remedy", () => {
    let hint: unknown;
    try {
      draw(2).max();
    } catch (error) {
      ({ hint } = error as { hint?: string });
    }
    expect(hint).toBe("compute with z.real and z.imag, or with the pairs of torch.viewAsReal(z)");
  });
});

onEachEngine(() => {
  test("tensors of complex numbers are made as PyTorch makes them", () => {
    const z = torch.tensor([[1, 2]], { dtype: torch.complex64, requiresGrad: true });
    expect([
      z.dtype,
      z.shape,
      z.ndim,
      z.numel(),
      z.isComplex(),
      z.isFloatingPoint(),
      z.elementSize(),
    ]).toEqual(["complex64", [1, 2], 2, 2, true, false, 8]);
    expect(z.tolist()).toEqual([
      [
        [1, 0],
        [2, 0],
      ],
    ]);
    expect(torch.tensor(z).requiresGrad).toBe(false);
    expect(torch.full([2], 3, { dtype: torch.cfloat }).tolist()).toEqual([
      [3, 0],
      [3, 0],
    ]);
    expect(torch.eye(1, { dtype: torch.cfloat }).tolist()).toEqual([[[1, 0]]]);
    expect(torch.onesLike(torch.zeros(1), { dtype: torch.cfloat }).tolist()).toEqual([[1, 0]]);
    expect(torch.zerosLike(z, { dtype: torch.float32 }).dtype).toBe("float32");
    expect(torch.arange(2).to(torch.complex64).tolist()).toEqual([
      [0, 0],
      [1, 0],
    ]);
    expect(z.to(torch.float32).tolist()).toEqual([[1, 2]]);
    expect(z.mH.shape).toEqual([2, 1]);
  });

  test("views share memory: of pairs, of parts, of slices", () => {
    const pairs = torch.zeros(3, 2);
    const z = torch.viewAsComplex(pairs);
    z.index("1:").copy_(torch.complex(torch.ones(2), torch.ones(2).mul(2)));
    z.real.index(0).fill_(5);
    z.mul_(torch.complex(torch.zeros(1), torch.ones(1)));
    expect(pairs.tolist()).toEqual([
      [0, 5],
      [-2, 1],
      [-2, 1],
    ]);
    z.indexPut_([0], 7);
    z.add_(1);
    expect(z.tolist()).toEqual([
      [8, 0],
      [-1, 1],
      [-1, 1],
    ]);
    const copy = z.add(0);
    copy.zero_();
    z.conj().zero_();
    expect(z.tolist()).toEqual([
      [8, 0],
      [-1, 1],
      [-1, 1],
    ]);
  });

  test("a leaf has the gradient ∂L/∂re + i ∂L/∂im", () => {
    const z = torch
      .complex(torch.tensor([3.5]), torch.tensor([-4.5]))
      .detach()
      .requiresGrad_();
    z.abs().square().sum().backward();
    expect(z.grad!.tolist()).toEqual([[expect.closeTo(7, 5), expect.closeTo(-9, 5)]]);
    z.grad = null;
    z.mul(2).backward(torch.complex(torch.ones(1), torch.ones(1)));
    expect(z.grad!.tolist()).toEqual([[2, 2]]);
  });

  test("a spectrum has second derivatives", () => {
    const x = torch.randn(12).requiresGrad_();
    const energy = (y: Tensor): Tensor => torch.fft.rfft(y).abs().pow(4).sum();
    const [first] = torch.autograd.grad(energy(x), [x], { createGraph: true }) as [Tensor];
    const direction = torch.randn(12);
    first.mul(direction).sum().backward();
    const h = 1e-2;
    const slope = (step: number): Tensor => {
      const y = x.detach().add(direction.mul(step)).requiresGrad_();
      return (torch.autograd.grad(energy(y), [y]) as [Tensor])[0];
    };
    const expected = slope(h)
      .sub(slope(-h))
      .div(2 * h);
    expect(x.grad!.sub(expected).abs().max().item()).toBeLessThan(2e-2 * expected.abs().max().item());
  });

  test("vmap transforms each sample", () => {
    const signals = torch.randn(3, 10);
    const each = torch.vmap((x: Tensor) => torch.fft.ifft(torch.fft.fft(x).mul(torch.fft.fft(x))).real)(
      signals,
    );
    const all = torch.fft.ifft(torch.fft.fft(signals).mul(torch.fft.fft(signals))).real;
    expect(torch.allclose(each, all, { atol: 1e-5 })).toBe(true);
  });

  test("modules may return complex tensors", () => {
    class Spectrum extends nn.Module {
      forward(x: Tensor): Tensor {
        return torch.fft.rfft(x);
      }
    }
    const spectrum = new Spectrum()(torch.ones(2, 4));
    expect(spectrum.tolist()).toEqual(
      Array.from({ length: 2 }, () => [
        [4, 0],
        [0, 0],
        [0, 0],
      ]),
    );
    expect(new nn.Sequential(new Spectrum())(torch.ones(1, 4)).shape).toEqual([1, 3]);
  });

  // PyTorch's own largest errors of these transforms, relative to the largest value, are 1.2e-7 to 2.8e-7.
  test.each([63, 64, 97, 160, 421, 1000, 1021, 2048, 2187, 4096, 10007])(
    "a transform of %i numbers is as exact as PyTorch's",
    (n) => {
      const signal = torch.randn(n);
      const values = signal.toTypedArray();
      const places = Array.from({ length: 25 }, (_, i) => Math.floor((i * n) / 25));
      const exact = places.map((k) => {
        let [re, im] = [0, 0];
        for (let j = 0; j < n; j++) {
          const [cos, sin] = unit(j * k, n);
          re += values[j]! * cos;
          im -= values[j]! * sin;
        }
        return [re, im] as const;
      });
      const whole = torch.viewAsReal(torch.fft.fft(signal)).tolist() as [number, number][];
      const halves = torch.viewAsReal(torch.fft.rfft(signal)).tolist() as [number, number][];
      const largest = Math.max(...whole.flat().map(Math.abs));
      const error = ([re, im]: readonly [number, number], [x, y]: readonly [number, number]): number =>
        Math.max(Math.abs(re - x), Math.abs(im - y)) / largest;
      places.forEach((k, i) => {
        expect(error(exact[i]!, whole[k]!)).toBeLessThan(6e-7);
        if (k < halves.length) expect(error(exact[i]!, halves[k]!)).toBeLessThan(6e-7);
      });
      const back = torch.fft.irfft(torch.fft.rfft(signal), n);
      expect(back.sub(signal).abs().max().item()).toBeLessThan(2e-6);
    },
  );
});

describe("conjugates", () => {
  useEngine("cpu");

  test("conjPhysical and resolveConj have no lazy form to do away with", () => {
    const z = torch.viewAsComplex(new torch.FloatTensor([1, 3, 2, -4]).view(2, 2));
    expect(String(torch.conjPhysical(z))).toBe("tensor([1.-3.j, 2.+4.j])");
    expect(String(torch.resolveConj(z.conj()))).toBe("tensor([1.-3.j, 2.+4.j])");
    expect(torch.conjPhysical(z.real).tolist()).toEqual([1, 2]);
  });
});
