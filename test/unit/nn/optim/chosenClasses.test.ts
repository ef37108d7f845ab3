// Classes that a program chooses by name: TypeScript calls a union of classes only by a signature that all of them have.
import { expect, expectTypeOf, test } from "vitest";
import { nn, optim, torch } from "../../../../extension/nn/index.ts";

test("optimizers, with a learning rate and weight decay", () => {
  const classes = { adam: optim.Adam, adamw: optim.AdamW, sgd: optim.SGD, rmsprop: optim.RMSprop };
  const texts = (["adam", "sgd", "rmsprop"] as const).map((name) => {
    const model = new nn.Linear(2, 1);
    const optimizer = new classes[name]([{ params: model.parameters(), lr: 0.5 }], {
      lr: 0.1,
      weightDecay: 0.2,
    });
    expectTypeOf(optimizer.paramGroups[0]!.weightDecay).toEqualTypeOf<number>();
    return [optimizer.constructor.name, optimizer.paramGroups[0]!.lr, optimizer.paramGroups[0]!.weightDecay];
  });
  expect(texts).toEqual([
    ["Adam", 0.5, 0.2],
    ["SGD", 0.5, 0.2],
    ["RMSprop", 0.5, 0.2],
  ]);
  const parameters = [torch.ones(1, { requiresGrad: true })];
  // @ts-expect-error an option of another optimizer
  expect(() => new optim.SGD(parameters, { lr: 0.1, betas: [0.9, 0.99] })).toThrow(
    "unexpected keyword argument",
  );
  // @ts-expect-error Rprop has no weight decay
  expect(() => new optim.Rprop(parameters, { weightDecay: 0.1 })).toThrow("unexpected keyword argument");
});

test("activations, without arguments", () => {
  const classes = { relu: nn.ReLU, gelu: nn.GELU, silu: nn.SiLU, tanh: nn.Tanh, leaky: nn.LeakyReLU };
  const text = (["relu", "gelu", "tanh", "leaky"] as const).map((name) => new classes[name]().toString());
  expect(text).toEqual(["ReLU()", "GELU(approximate='none')", "Tanh()", "LeakyReLU(negative_slope=0.01)"]);
  // @ts-expect-error the factor is required
  expect(() => new nn.PixelShuffle()).toThrow("upscaleFactor");
});
