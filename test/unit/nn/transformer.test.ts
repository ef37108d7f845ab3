// Transformers: how they are called, what their parts share, what they say.
import { afterEach, beforeEach, expect, expectTypeOf, test } from "vitest";
import { F, nn, torch, type Tensor } from "../../../extension/nn/index.ts";
import { setWarningSink, type WarningSink } from "../../../extension/nn/warnings.ts";
import { useEngine } from "../../engines.ts";

let warnings: string[];
let sink: WarningSink;
useEngine("cpu");
beforeEach(() => {
  warnings = [];
  sink = setWarningSink((message) => warnings.push(message));
});
afterEach(() => void setWarningSink(sink));

const numbers = (t: Tensor): number[] => [...t.toTypedArray()];

test("an activation may be a name, a function or a module, which is printed last", () => {
  const made = (activation: nn.Activation): nn.TransformerEncoderLayer => {
    torch.manualSeed(1);
    return new nn.TransformerEncoderLayer(4, 2, { dimFeedforward: 3, activation, batchFirst: true }).eval();
  };
  torch.manualSeed(2);
  const x = torch.randn(2, 3, 4);
  const expected = numbers(made("gelu")(x));
  for (const activation of [F.gelu, new nn.GELU(), (h: Tensor) => F.gelu(h)])
    expect(numbers(made(activation)(x))).toEqual(expected);
  expect(numbers(made("relu")(x))).not.toEqual(expected);
  const lines = made(new nn.GELU()).toString().split("\n");
  expect(lines.slice(-3)).toEqual([
    "  (dropout2): Dropout(p=0.1, inplace=False)",
    "  (activation): GELU(approximate='none')",
    ")",
  ]);
});

test("layers begin equal, are apart, and leave the given one as it was", () => {
  const layer = new nn.TransformerEncoderLayer(4, 2, { dimFeedforward: 3, batchFirst: true });
  const encoder = new nn.TransformerEncoder(layer, 2);
  const [a, b] = [...encoder.layers].map((each) => each.linear1.weight) as [Tensor, Tensor];
  expect(numbers(a)).toEqual(numbers(b));
  nn.init.zeros_(a);
  expect(numbers(b)).toEqual(numbers(layer.linear1.weight));
  expect(new Set(encoder.parameters()).size).toBe(2 * layer.parameters().length);
});

test("PyTorch's ways to call attention and layers are typed", () => {
  const attention = new nn.MultiheadAttention({ embedDim: 4, numHeads: 2, batchFirst: true });
  const x = torch.randn(2, 3, 4);
  const [output, weights] = attention(x, x, x, { averageAttnWeights: false });
  expectTypeOf(weights).toEqualTypeOf<Tensor | null>();
  expect([output.shape, weights?.shape]).toEqual([
    [2, 3, 4],
    [2, 2, 3, 3],
  ]);
  expect(attention(x, x, x, null, false)[1]).toBeNull();
  const mask = nn.Transformer.generateSquareSubsequentMask(3);
  expect(mask.tolist()).toEqual([
    [0, -Infinity, -Infinity],
    [0, 0, -Infinity],
    [0, 0, 0],
  ]);
  const model = new nn.Transformer(4, 2, 1, 1, { dimFeedforward: 3, batchFirst: true, dropout: 0 });
  expect(numbers(model(x, x, null, mask))).toEqual(numbers(model(x, x, { tgtMask: mask })));
});

test("a mask that was written to is no longer the next one", () => {
  const mask = nn.Transformer.generateSquareSubsequentMask(2);
  mask.zero_();
  expect(nn.Transformer.generateSquareSubsequentMask(2).tolist()).toEqual([
    [0, -Infinity],
    [0, 0],
  ]);
});

test("encoders that PyTorch's fast path doesn't take say why", () => {
  const reason = (options: nn.TransformerLayerOptions, heads = 2): string | undefined => {
    warnings.length = 0;
    void new nn.TransformerEncoder(
      new nn.TransformerEncoderLayer(4, heads, { dimFeedforward: 3, batchFirst: true, ...options }),
      1,
    );
    return warnings[0]?.replace(/^.* because /, "");
  };
  expect(reason({})).toBeUndefined();
  expect(reason({ normFirst: true })).toBe("encoder_layer.norm_first was True");
  expect(reason({ bias: false })).toBe("encoder_layer.self_attn was passed bias=False");
  expect(reason({}, 1)).toBe("encoder_layer.self_attn.num_heads is odd");
  expect(reason({ activation: torch.tanh })).toBe("encoder_layer.activation_relu_or_gelu was not True");
  expect(reason({ batchFirst: false })).toBe(
    "encoder_layer.self_attn.batch_first was not True(use batch_first for better inference performance)",
  );
});

test("masks of different types are a warning", () => {
  const attention = new nn.MultiheadAttention(4, 2);
  const x = torch.randn(3, 2, 4);
  const attnMask = torch.zeros(3, 3);
  attention(x, x, x, { keyPaddingMask: torch.zeros(2, 3).bool(), attnMask });
  expect(warnings).toEqual([
    "Support for mismatched key_padding_mask and attn_mask is deprecated. Use same type for both instead.",
  ]);
});

test("a custom encoder or decoder takes the place of PyTorch's", () => {
  class Plain extends nn.Module {
    forward(x: Tensor): Tensor {
      return x.mul(2);
    }
  }
  const model = new nn.Transformer({ dModel: 4, customEncoder: new Plain(), customDecoder: new Plain() });
  const x = torch.ones(2, 1, 4);
  expect(numbers(model(x, x))).toEqual(Array(8).fill(2));
});
