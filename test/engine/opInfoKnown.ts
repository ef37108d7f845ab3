// Known differences from PyTorch on its own samples, each with its reason. See values/opInfo.test.ts.

const NUMBERS = "numbers are taken where PyTorch wants a tensor in their place";
const INTEGERS = "layers have kernels for floats alone";
const PRIVATE = "undocumented in PyTorch";
const COMPARED = "a comparison's result is no complex number: PyTorch writes 0 or 1";

const of = (reason: string, kind: string, names: string): Record<string, string> =>
  Object.fromEntries(names.split(" ").map((name) => [`${name.replace("/", " ")}: ${kind}`, reason]));

/** By function, type of the first tensor and kind of difference. */
export const KNOWN: Readonly<Record<string, string>> = {
  ...of(
    NUMBERS,
    "accepted",
    "Tensor.logical_and_ Tensor.logical_or_ Tensor.logical_xor_ torch.bitwise_and torch.bitwise_left_shift " +
      "torch.bitwise_or torch.bitwise_right_shift torch.bitwise_xor torch.eq torch.fmod torch.ge torch.gt torch.le " +
      "torch.logical_and torch.logical_or torch.logical_xor torch.lt torch.max torch.maximum torch.min torch.minimum " +
      "torch.ne torch.normal torch.pow torch.remainder torch.rsub torch.special.xlog1py torch.special.zeta torch.xlogy",
  ),
  ...of(
    NUMBERS,
    "accepted",
    [
      ..."tuvw"
        .split("")
        .flatMap((kind) => ["", "shifted_"].map((which) => `${which}chebyshev_polynomial_${kind}`)),
      ..."hermite_polynomial_h hermite_polynomial_he laguerre_polynomial_l legendre_polynomial_p".split(" "),
    ]
      .map((name) => `torch.special.${name}`)
      .join(" "),
  ),
  ...of(
    INTEGERS,
    "refused",
    "F.avg_pool1d/int64 F.avg_pool2d/int64 F.avg_pool3d/int64 F.conv1d/int64 F.conv3d/int64 F.conv_transpose1d/int64 " +
      "F.conv_transpose2d/int64 F.hardtanh/int64 F.max_pool2d/int64 F.relu6/int64 F.softsign/int64 F.tanhshrink/int64 " +
      "F.threshold/int64",
  ),
  "F.unfold bool: refused": INTEGERS,
  ...of(PRIVATE, "absent", "Tensor.as_strided_ torch.fill"),
  ...of(
    "rare: used by no network that we know of",
    "absent",
    "torch.as_strided_scatter torch.linalg.ldl_factor torch.linalg.ldl_factor_ex torch.linalg.ldl_solve " +
      "torch.linalg.matrix_sqrth torch.linalg.polar",
  ),
  "torch.resolve_neg: absent": "no tensor is negated only when it is read",
  "torch.lu: absent": "deprecated in PyTorch: torch.linalg.luFactor has the same results",
  ...of(COMPARED, "refused", "Tensor.eq_/complex64 Tensor.ne_/complex64"),
  "F.avg_pool2d float32: refused": "a stride of no numbers stands for the kernel's size in PyTorch",
  "Tensor.sum_to_size bool: type": "PyTorch makes integers even where it sums nothing",
  "torch.abs complex64: values": "documented: squares of parts above 1e19 overflow",
  "torch.cat: accepted": "there is no memory that can't be resized",
  "torch.frexp float32: values": "documented: denormal numbers count as 0",
  "torch.linalg.eigh float32: values": "the signs of eigenvectors are free",
  "torch.linalg.lstsq float32: gradient":
    "it passes through singular values, which round more than PyTorch's formula",
  "torch.linalg.pinv float32: gradient":
    "of matrices that aren't symmetric, though said to be: PyTorch differentiates by both triangles, of which it reads one",
  "torch.linalg.matrix_power float32: constant":
    "to the power of 0: the identity doesn't depend on the matrix",
  "torch.masked_fill: accepted": "a number that is too large becomes the largest integer",
};
