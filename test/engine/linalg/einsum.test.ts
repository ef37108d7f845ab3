// Random equations of einsum against sums over all subscripts, and PyTorch's words for wrong ones.
import { describe, expect, it } from "vitest";
import { torch, type Tensor } from "../../../extension/nn/index.ts";
import { numel, strides } from "../../../extension/tensor/core/shape.ts";
import { onEachEngine } from "../../engines.ts";

/** Whole numbers in [0, n) that follow from a seed. */
function numbers(seed: number): (n: number) => number {
  let state = seed * 2654435761 + 1;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

interface Case {
  equation: string;
  shapes: number[][];
  /** Labels of each operand's dimensions; those of an ellipsis are numbers from the last one. */
  terms: string[][];
  output: string[];
  sizes: Map<string, number>;
}

const LETTERS = "ijkAbZ";

function randomCase(seed: number): Case {
  const pick = numbers(seed);
  const sizes = new Map<string, number>();
  for (const s of [...LETTERS.split(""), "0", "1"]) sizes.set(s, 1 + pick(3));
  const count = 1 + pick(3);
  const terms: string[][] = [];
  const texts: string[] = [];
  let most = 0;
  for (let i = 0; i < count; i++) {
    const letters = Array.from({ length: pick(4) }, () => LETTERS[pick(LETTERS.length)]!);
    const dots = pick(3) === 0 ? pick(3) : -1;
    const at = pick(letters.length + 1);
    const before = letters.slice(0, at);
    const after = letters.slice(at);
    const covered = dots < 0 ? [] : ["1", "0"].slice(2 - dots);
    most = Math.max(most, covered.length);
    terms.push([...before, ...covered, ...after]);
    texts.push([...before, ...(dots < 0 ? [] : ["..."]), ...after].join(pick(2) === 0 ? " " : ""));
  }
  const all = terms.flat().filter((s) => !/\d/.test(s));
  const covered = ["1", "0"].slice(2 - most);
  const once = all.filter((s) => all.indexOf(s) === all.lastIndexOf(s)).toSorted();
  const chosen = [...new Set(all)].filter(() => pick(2) === 0).toSorted(() => pick(2) - 0.5);
  const arrow = pick(3);
  const output = arrow === 0 ? [...covered, ...once] : arrow === 1 ? [...chosen, ...covered] : chosen;
  const written =
    arrow === 0
      ? ""
      : `->${chosen.join("")}${arrow === 1 && texts.some((t) => t.includes(".")) ? " ..." : ""}`;
  const single = pick(4) === 0;
  const shapes = terms.map((term, i) => {
    // Sizes of 1 broadcast, but not within an operand.
    const flat = single && i === 0 ? term.find((s) => term.indexOf(s) === term.lastIndexOf(s)) : undefined;
    return term.map((s) => (s === flat ? 1 : sizes.get(s)!));
  });
  // A label of which all operands have size 1 has it, too.
  for (const s of sizes.keys()) {
    const own = terms.flatMap((term, i) => term.flatMap((label, d) => (label === s ? [shapes[i]![d]!] : [])));
    if (own.length > 0) sizes.set(s, Math.max(...own));
  }
  return { equation: texts.join(",") + written, shapes, terms, output, sizes };
}

/** Sums over all values of all subscripts. */
function reference({ terms, output, sizes, shapes }: Case, tensors: readonly Tensor[]): number[] {
  const labels = [...new Set(terms.flat())];
  const values = tensors.map((t) => t.toTypedArray());
  const shape = output.map((s) => sizes.get(s)!);
  const result = Array.from({ length: numel(shape) }, () => 0);
  const at = new Map<string, number>();
  const place = (term: readonly string[], dims: readonly number[]): number => {
    const steps = strides(dims);
    return term.reduce((sum, s, d) => sum + (dims[d] === 1 ? 0 : at.get(s)!) * steps[d]!, 0);
  };
  const visit = (i: number): void => {
    if (i === labels.length) {
      const product = terms.reduce((p, term, k) => p * values[k]![place(term, shapes[k]!)]!, 1);
      result[place(output, shape)]! += product;
      return;
    }
    for (let v = 0; v < sizes.get(labels[i]!)!; v++) {
      at.set(labels[i]!, v);
      visit(i + 1);
    }
  };
  visit(0);
  return result;
}

function suite(): void {
  it("counts bools, multiplies them where nothing is summed, and refuses to sum their products", () => {
    const [v, m] = [torch.tensor([true, false]), torch.ones(2, 2).tril().bool()];
    const of = (equation: string, ...operands: Tensor[]): unknown => {
      const y = torch.einsum(equation, ...operands);
      return [y.dtype, y.tolist()];
    };
    const first = [
      [true, false],
      [true, false],
    ];
    expect(of("ab->", m)).toEqual(["int64", 3]);
    expect(of("ab->a", m)).toEqual(["int64", [1, 2]]);
    expect(of("aa,aa->a", m, m)).toEqual(["bool", [true, true]]);
    expect(of(",->", m.index(0, 0), m.index(0, 1))).toEqual(["bool", false]);
    expect(of("ab,b->ab", m, v)).toEqual(["bool", first]);
    expect(of("ab,bc->ac", m.index(":", "0:1"), m.index("0:1"))).toEqual(["bool", first]);
    expect(of("b,ab->b", v, m)).toEqual(["int64", [2, 0]]);
    expect(of("a,a->a", v, torch.tensor([1, 2]))).toEqual(["int64", [1, 0]]);
    expect(of("a,a->a", torch.tensor([1.5, 2]), torch.tensor([1, 2]))).toEqual(["float32", [1.5, 4]]);
    expect(() => of("ab,bc->ac", m, m)).toThrow("\"bmm\" not implemented for 'Bool'");
    expect(() => of("a,a->", torch.tensor([1.5, 2]), torch.tensor([1, 2]))).toThrow(
      "expected scalar type Float but found Long",
    );
  });

  it("computes what sums over all subscripts give", () => {
    for (let seed = 0; seed < 300; seed++) {
      const one = randomCase(seed);
      torch.manualSeed(seed);
      const tensors = one.shapes.map((shape) => torch.randn(...shape));
      const found = torch.einsum(one.equation, ...tensors);
      const what = `${one.equation} of ${JSON.stringify(one.shapes)}`;
      expect(found.shape, what).toEqual(one.output.map((s) => one.sizes.get(s)!));
      const expected = reference(one, tensors);
      found.toTypedArray().forEach((v, i) => expect(Math.abs(v - expected[i]!), what).toBeLessThan(1e-3));
    }
  });

  it("has gradients through diagonals", () => {
    const x = torch
      .tensor([
        [1.5, 2],
        [3, 4],
      ])
      .requiresGrad_();
    torch
      .einsum("ii->i", x)
      .mul(torch.tensor([2, 3]))
      .sum()
      .backward();
    expect(x.grad!.tolist()).toEqual([
      [2, 0],
      [0, 3],
    ]);
  });
}

const ones = (...shape: number[]): Tensor => torch.ones(...shape);

describe("einsum, wrong equations", () => {
  it.each<[string, Tensor[], string]>([
    [
      "i1j->ij",
      [ones(2, 3)],
      "invalid subscript given at index 1 in the equation string, subscripts must be in [a-zA-Z]",
    ],
    [
      "i\tj",
      [ones(2, 3)],
      "invalid subscript given at index 1 in the equation string, subscripts must be in [a-zA-Z]",
    ],
    [
      "ij->i->j",
      [ones(2, 3)],
      "invalid subscript given at index 5 in the equation string, subscripts must be in [a-zA-Z]",
    ],
    ["i.j->ij", [ones(2, 3)], "found '.' for operand 0 that is not part of any ellipsis"],
    ["...i...", [ones(2, 3)], "found '.' for operand 0 for which an ellipsis was already found"],
    ["ij->i...j...", [ones(2, 3)], "found '.' for output but an ellipsis (...) was already found"],
    ["ij->i.j", [ones(2, 3)], "found '.' for output that is not part of any ellipsis (...)"],
    ["ij->ii", [ones(2, 3)], "output subscript i appears more than once in the output"],
    ["ij->ik", [ones(2, 3)], "output subscript k does not appear in the equation for any input operand"],
    ["ij,jk", [ones(2, 3)], "fewer operands were provided than specified in the equation"],
    ["ij", [ones(2, 3), ones(2, 3)], "more operands were provided than specified in the equation"],
    [
      "ijk...",
      [ones(2, 3)],
      "the number of subscripts in the equation (3) is more than the number of dimensions (2) for operand 0",
    ],
    ["ii->i", [ones(2, 3)], "subscript i is repeated for operand 0 but the sizes don't match, 3 != 2"],
    [
      "...i,...i->...",
      [ones(2, 3), ones(4, 3)],
      "dimension 0 covered by ellipsis in operand 1has size 4 which does not broadcast with previously seen ellipsis with size 2 for the respective dimension",
    ],
  ])("%s", (equation, operands, message) => {
    expect(() => torch.einsum(equation, ...operands)).toThrow(`einsum(): ${message}`);
  });
});

describe("einsum", () => onEachEngine(suite));
