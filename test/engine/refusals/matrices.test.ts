// Matrices that have no factor or inverse: PyTorch's words, on both engines, however the step is computed.
import { describe, expect, it } from "vitest";
import { nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { onEachEngine } from "../../engines.ts";

const { cholesky, inv, solve } = torch.linalg;
const indefinite = [
  [1, 2],
  [2, 1],
];
const singular = [
  [1, 2],
  [2, 4],
];
const tensor = (values: number[][]): Tensor => torch.tensor(values, { dtype: torch.float32 });
const batch = (values: number[][]): Tensor => torch.stack([torch.eye(2), tensor(values)]);
const zeros = (): Tensor => torch.zeros(3, 3);

/** As PyTorch 2.15 says it. */
const CASES: Record<string, [() => Tensor, string]> = {
  "cholesky of an indefinite matrix": [
    () => cholesky(tensor(indefinite)),
    "linalg.cholesky: The factorization could not be completed because the input is not positive-definite (the leading minor of order 2 is not positive-definite).",
  ],
  "cholesky of zeros": [
    () => cholesky(zeros()),
    "linalg.cholesky: The factorization could not be completed because the input is not positive-definite (the leading minor of order 1 is not positive-definite).",
  ],
  "cholesky of a batch": [
    () => cholesky(batch(indefinite)),
    "linalg.cholesky: (Batch element 1): The factorization could not be completed because the input is not positive-definite (the leading minor of order 2 is not positive-definite).",
  ],
  "cholesky of NaN": [
    () =>
      cholesky(
        tensor([
          [NaN, 0],
          [0, 1],
        ]),
      ),
    "linalg.cholesky: The factorization could not be completed because the input is not positive-definite (the leading minor of order 1 is not positive-definite).",
  ],
  "inverse of a singular matrix": [
    () => inv(tensor(singular)),
    "linalg.inv: The diagonal element 2 is zero, the inversion could not be completed because the input matrix is singular.",
  ],
  "inverse of zeros": [
    () => inv(zeros()),
    "linalg.inv: The diagonal element 1 is zero, the inversion could not be completed because the input matrix is singular.",
  ],
  "inverse of a batch": [
    () => inv(batch(singular)),
    "linalg.inv: (Batch element 1): The diagonal element 2 is zero, the inversion could not be completed because the input matrix is singular.",
  ],
  "solution of a singular system": [
    () => solve(tensor(singular), torch.ones(2)),
    "torch.linalg.solve: The solver failed because the input matrix is singular.",
  ],
  "solution of a batch": [
    () => solve(batch(singular), torch.ones(2, 2, 1)),
    "torch.linalg.solve: (Batch element 1): The solver failed because the input matrix is singular.",
  ],
};

onEachEngine(() => {
  it.each(Object.keys(CASES))("refuses the %s", (name) => {
    const [make, text] = CASES[name]!;
    expect(() => make().tolist()).toThrow(text);
  });

  describe("in a training step", () => {
    it.each([0, 1, 4])("refuses the factor of step %d and goes back to before it", (bad) => {
      const weight = new nn.Parameter(torch.eye(2));
      const optimizer = new optim.SGD([weight], { lr: 0.1 });
      const step = (a: Tensor): void => {
        optimizer.zeroGrad();
        cholesky(weight.matmul(a)).sum().backward();
        optimizer.step();
      };
      for (let i = 0; i < bad; i++) step(torch.eye(2));
      const before = weight.tolist();
      expect(() =>
        step(
          tensor([
            [-1, 0],
            [0, -1],
          ]),
        ),
      ).toThrow(
        "linalg.cholesky: The factorization could not be completed because the input is not positive-definite (the leading minor of order 1 is not positive-definite).",
      );
      expect(weight.tolist()).toEqual(before);
    });
  });
});
