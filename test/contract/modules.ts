// How each exported module is made and called: by its first case made with PyTorch, or by a line here.
import { nn, optim, torch, type Tensor } from "../../extension/nn/index.ts";
import { Tensor as TensorClass } from "../../extension/tensor/core/tensor.ts";
import { build } from "../parity/models.ts";
import { argument, callArguments, keywords } from "../parity/names.ts";
import { decode, isTensor } from "../parity/format.ts";
import { MODULE_CASES } from "./fixtures.ts";

type Call = (...input: readonly unknown[]) => unknown;

export interface Subject {
  model: nn.Module;
  args: readonly unknown[];
  /** Those of them that have no gradient in PyTorch, such as the target of some losses. */
  constant?: ReadonlySet<unknown>;
}

/** A model of the parts of a container, which has no `forward` of its own. */
class Holding extends nn.Module {
  readonly parts: nn.Module;
  private readonly use: (x: Tensor) => Tensor;

  constructor(parts: nn.Module, use: (x: Tensor) => Tensor) {
    super();
    this.parts = parts;
    this.use = use;
  }

  forward(x: Tensor): Tensor {
    return this.use(x);
  }
}

/** Modules without a case of their own in which they are called. */
const OTHERS: Readonly<Record<string, () => Subject>> = {
  ModuleList() {
    const list = new nn.ModuleList([new nn.Linear(3, 4), new nn.Linear(4, 2)]);
    return {
      model: new Holding(list, (x) => [...list].reduce((y, m) => m(y), x)),
      args: [torch.randn(2, 3)],
    };
  },
  ModuleDict() {
    const dict = new nn.ModuleDict({ left: new nn.Linear(3, 2), right: new nn.Linear(3, 2) });
    const part = (name: string): nn.Linear => dict.get(name);
    return {
      model: new Holding(dict, (x) => part("left")(x).add(part("right")(x))),
      args: [torch.randn(2, 3)],
    };
  },
  ParameterList() {
    const list = new nn.ParameterList([torch.randn(3), torch.randn(3)]);
    return {
      model: new Holding(list, (x) => [...list].reduce((y, p) => y.mul(p), x)),
      args: [torch.randn(2, 3)],
    };
  },
  ParameterDict() {
    const dict = new nn.ParameterDict({ scale: torch.randn(3) });
    return {
      model: new Holding(dict, (x) => x.mul(dict.get("scale"))),
      args: [torch.randn(2, 3)],
    };
  },
  NonDynamicallyQuantizableLinear: () => ({
    model: new nn.NonDynamicallyQuantizableLinear(3, 2),
    args: [torch.randn(2, 3)],
  }),
};

export const isKnown = (name: string): boolean => name in OTHERS || MODULE_CASES.has(name);

/** A new module with first weights from `seed`, and what it is called with. */
export function subject(name: string, seed: number): Subject {
  torch.manualSeed(seed);
  const other = OTHERS[name];
  if (other !== undefined) return other();
  const item = MODULE_CASES.get(name)!;
  const model = build(item.model!);
  const [recorded, given] = [item.args ?? [], (item.args ?? []).map(argument)];
  const constant = new Set(
    given.filter((_, i) => {
      const one = recorded[i]!;
      return recorded.some((x) => isTensor(x) && x.grad === true) && isTensor(one) && one.grad !== true;
    }),
  );
  return { model, args: callArguments(given, keywords(item.kwargs)), constant };
}

/** Gives the module the weights of its case, where it has some: first ones may be NaN or out of range. */
export function withCaseState(name: string, model: nn.Module): nn.Module {
  const state = MODULE_CASES.get(name)?.state;
  if (state !== undefined)
    model.loadStateDict(new Map(Object.entries(state).map(([key, t]) => [key, decode(t)])));
  return model;
}

/** All tensors of a result. */
export function tensors(output: unknown): Tensor[] {
  if (output instanceof TensorClass) return [output];
  if (typeof output !== "object" || output === null) return [];
  return Object.values(output).flatMap(tensors);
}

export const run = ({ model, args }: Subject): Tensor[] => tensors((model as unknown as Call)(...args));

/** A training step of any module: its float inputs times a parameter, its outputs squared as the loss. */
export function trainingStep({ model, args, constant }: Subject): () => void {
  const scale = new nn.Parameter(torch.ones(1));
  const optimizer = new optim.SGD([scale, ...model.parameters()], { lr: 1e-7 });
  return () => {
    optimizer.zeroGrad();
    const scaled = args.map((x) =>
      x instanceof TensorClass && x.dtype === "float32" && constant?.has(x) !== true ? x.mul(scale) : x,
    );
    const losses = run({ model, args: scaled })
      .filter((y) => y.dtype === "float32")
      .map((y) => y.mul(y).mean());
    losses.reduce((sum, loss) => sum.add(loss)).backward();
    optimizer.step();
  };
}
