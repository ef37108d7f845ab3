// Options of torch.func, with PyTorch's results and errors.
import { expect, test } from "vitest";
import { nn, torch, type Tensor } from "../../../extension/nn/index.ts";
import { useEngine } from "../../engines.ts";

const { func } = torch;

useEngine("cpu");

const x = (): Tensor => torch.tensor([0.5, 1.5]);
const v = (): Tensor => torch.tensor([1, 2], { dtype: "float32" });
const withSum = (a: Tensor): [Tensor, { n: Tensor }] => [a.pow(3), { n: a.sum() }];

test("vjp and jvp return aux", () => {
  const [y, pull, aux] = func.vjp(withSum, x(), { hasAux: true });
  expect([y.tolist(), pull(v())[0].tolist(), aux.n.item()]).toEqual([[0.125, 3.375], [0.75, 13.5], 2]);
  expect(aux.n.requiresGrad).toBe(false);
  const [value, product, rest] = func.jvp(withSum, [x()], [v()], { hasAux: true });
  expect([value.tolist(), product.tolist(), rest.n.item()]).toEqual([[0.125, 3.375], [0.75, 13.5], 2]);
});

test("a function that returns no aux is refused", () => {
  const plain = ((a: Tensor) => a) as unknown as typeof withSum;
  const text = "output of function f should be a tuple: (output, aux) if has_aux is True";
  expect(() => func.vjp(plain, x(), { hasAux: true })).toThrow(`vjp(f, *primals): ${text}`);
  expect(() => func.jvp(plain, [x()], [v()], { hasAux: true })).toThrow(`jvp(f, primals, tangents): ${text}`);
});

const constant: (a: Tensor) => Tensor = () => torch.ones(2);

test("jvp refuses in strict mode what doesn't depend on the primals", () => {
  const [value, product] = func.jvp(constant, [x()], [v()]);
  expect([value.tolist(), product.tolist()]).toEqual([
    [1, 1],
    [0, 0],
  ]);
  const text = "The output of f is independent of the inputs. This is not allowed with strict=True.";
  const strict = { strict: true };
  expect(() => func.jvp(constant, [x()], [v()], strict)).toThrow(text);
  expect(() => func.jvp((a: Tensor) => [a.mul(2), torch.ones(2)], [x()], [v()], strict)).toThrow(text);
  expect(func.jvp((a: Tensor) => a.mul(2), [x()], [v()], strict)[1].tolist()).toEqual([2, 4]);
});

test("jacrev takes a chunk size", () => {
  const square = (a: Tensor): Tensor => a.square();
  expect(func.jacrev(square, { chunkSize: 1 })(x()).tolist()).toEqual([
    [1, 0],
    [0, 3],
  ]);
  expect(() => func.jacrev(square, { chunkSize: 0 })).toThrow(
    "jacrev: `chunk_size` should be greater than 0.",
  );
});

test("batch norms lose their running statistics", () => {
  const net = new nn.Sequential(
    new nn.Linear(2, 2),
    new nn.BatchNorm1d(2),
    new nn.Sequential(new nn.InstanceNorm1d(2, { trackRunningStats: true })),
  );
  expect(func.replaceAllBatchNormModules_(net)).toBe(net);
  expect([...net.stateDict().keys()].filter((name) => !name.startsWith("0."))).toEqual([
    "1.weight",
    "1.bias",
    "2.0.running_mean",
    "2.0.running_var",
    "2.0.num_batches_tracked",
  ]);
  expect(String(net.get(1))).toBe(
    "BatchNorm1d(2, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=False)",
  );
  net.eval();
  const rows = torch
    .tensor([
      [1, 2],
      [3, 5],
    ])
    .float();
  const normed = net.get(1)(rows);
  normed
    .flatten()
    .toTypedArray()
    .forEach((y, i) => expect(y).toBeCloseTo(i < 2 ? -1 : 1, 4));
});
