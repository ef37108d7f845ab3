// Methods that read, convert and write.
import { install, installAccessor, installAs, installGetter, type Method } from "./install.ts";
import { CPU, type Device } from "../platform/device.ts";
import * as gradientHooks from "../recording/gradientHooks.ts";
import * as conversion from "../functions/creation/conversion.ts";
import * as data from "../functions/creation/data.ts";
import * as inplace from "../functions/pointwise/inplace.ts";
import * as random from "../functions/creation/random.ts";

declare module "../core/tensor.ts" {
  interface Tensor {
    /**
     * The value of a tensor of one element: a number, or a boolean of a bool tensor. Computes what is pending.
     * It is typed as a number unless a boolean is expected: `const found: boolean = mask.any().item()`.
     */
    // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the expected type chooses
    item<T extends number | boolean = number>(): T;
    /** A copy of the values, row-major, in a typed array. */
    toTypedArray: Method<typeof data.toTypedArray, "toTypedArray">;
    /** The same as `toTypedArray()`. */
    numpy: Method<typeof data.toTypedArray, "numpy">;
    /**
     * The tensor's memory as a tensor without gradient: what is written to it is not differentiated. Assigning a tensor
     * gives this one that tensor's memory.
     */
    get data(): data.DataTensor;
    set data(value: Tensor);
    /** The values as nested arrays. */
    tolist: Method<typeof conversion.tolist, "tolist">;
    /** As another type, or as that of another tensor; on a device, which must be the CPU. */
    to: Method<typeof conversion.to, "to">;
    /** The tensor itself, which is on the CPU. */
    cpu: Method<typeof conversion.cpu, "cpu">;
    /** @throws TensorError "Torch not compiled with CUDA enabled" */
    cuda: Method<typeof conversion.cuda, "cuda">;
    /** The tensor itself: memory is pinned for GPUs. */
    pinMemory: Method<typeof conversion.pinMemory, "pinMemory">;
    /** @throws TensorError: there is no float64 */
    double: Method<typeof conversion.double, "double">;
    /** @throws TensorError: there is no float16 */
    half: Method<typeof conversion.half, "half">;
    /** @throws TensorError: there is no bfloat16 */
    bfloat16: Method<typeof conversion.bfloat16, "bfloat16">;
    /** @throws TensorError: there is no int32 */
    int: Method<typeof conversion.int, "int">;
    /** @throws TensorError: there is no int16 */
    short: Method<typeof conversion.short, "short">;
    /** @throws TensorError: there is no int8 */
    char: Method<typeof conversion.char, "char">;
    /** @throws TensorError: there is no uint8 */
    byte: Method<typeof conversion.byte, "byte">;
    /** Where the tensor is: the CPU. */
    readonly device: Device;
    /** Whether the tensor is on a GPU: never. */
    readonly isCuda: boolean;
    /** The number of the tensor's GPU: -1 on the CPU. */
    getDevice(): number;
    /** As float32. */
    float: Method<typeof conversion.float, "float">;
    /** As int64, fractions cut off. */
    long: Method<typeof conversion.long, "long">;
    /** As bool: true where not 0. */
    bool: Method<typeof conversion.bool, "bool">;
    /** As the type of another tensor. */
    typeAs: Method<typeof conversion.typeAs, "typeAs">;
    /** The same values in the same memory, without gradient. */
    detach: Method<typeof conversion.detach, "detach">;
    /** Makes this tensor a leaf that wants no gradient. */
    detach_: Method<typeof conversion.detach_, "detach_">;
    /** A copy, through which gradients pass. */
    clone: Method<typeof conversion.clone, "clone">;
    /** Has `backward()` keep this tensor's gradient in `.grad`, though it is no leaf. */
    retainGrad: Method<typeof gradientHooks.retainGrad, "retainGrad">;
    /** Runs a function with this tensor's gradient each time that it is computed; what it returns replaces it. */
    registerHook: Method<typeof gradientHooks.registerHook, "registerHook">;
    /** Runs a function with this leaf each time that `backward()` has added to its `.grad`. */
    registerPostAccumulateGradHook: Method<
      typeof gradientHooks.registerPostAccumulateGradHook,
      "registerPostAccumulateGradHook"
    >;
    /** Fills `.grad` of every leaf that requires one. */
    backward: Method<typeof conversion.backward, "backward">;
    /** Whether shape and values are equal: computes both. */
    equal: Method<typeof conversion.equal, "equal">;
    /** Whether all values are close: computes both. */
    allclose: Method<typeof conversion.allclose, "allclose">;
    /** input += alpha · other. */
    add_: Method<typeof inplace.add_, "add_">;
    /** input −= alpha · other. */
    sub_: Method<typeof inplace.sub_, "sub_">;
    /** input ·= other. */
    mul_: Method<typeof inplace.mul_, "mul_">;
    /** input /= other. */
    div_: Method<typeof inplace.div_, "div_">;
    /** input = inputᵉ. */
    pow_: Method<typeof inplace.pow_, "pow_">;
    /** input = input mod other. */
    remainder_: Method<typeof inplace.remainder_, "remainder_">;
    /** input += value · tensor1 · tensor2. */
    addcmul_: Method<typeof inplace.addcmul_, "addcmul_">;
    /** input += value · tensor1 / tensor2. */
    addcdiv_: Method<typeof inplace.addcdiv_, "addcdiv_">;
    /** input += weight · (end − input). */
    lerp_: Method<typeof inplace.lerp_, "lerp_">;
    /** Elements moved into [min, max]. */
    clamp_: Method<typeof inplace.clamp_, "clamp_">;
    /** input = −input. */
    neg_: Method<typeof inplace.neg_, "neg_">;
    /** input = |input|. */
    abs_: Method<typeof inplace.abs_, "abs_">;
    /** input = eˣ. */
    exp_: Method<typeof inplace.exp_, "exp_">;
    /** input = ln x. */
    log_: Method<typeof inplace.log_, "log_">;
    /** input = √x. */
    sqrt_: Method<typeof inplace.sqrt_, "sqrt_">;
    /** input = x². */
    square_: Method<typeof inplace.square_, "square_">;
    /** input = 1 / x. */
    reciprocal_: Method<typeof inplace.reciprocal_, "reciprocal_">;
    /** Negative elements become 0. */
    relu_: Method<typeof inplace.relu_, "relu_">;
    /** input = 1 / (1 + e⁻ˣ). */
    sigmoid_: Method<typeof inplace.sigmoid_, "sigmoid_">;
    /** input = tanh x. */
    tanh_: Method<typeof inplace.tanh_, "tanh_">;
    /** Down to whole numbers. */
    floor_: Method<typeof inplace.floor_, "floor_">;
    /** Up to whole numbers. */
    ceil_: Method<typeof inplace.ceil_, "ceil_">;
    /** To the nearest whole numbers. */
    round_: Method<typeof inplace.round_, "round_">;
    /** `value` where the mask holds. */
    fillDiagonal_: Method<typeof inplace.fillDiagonal_, "fillDiagonal_">;
    maskedFill_: Method<typeof inplace.maskedFill_, "maskedFill_">;
    /** `source` at the places of an index along a dimension. */
    scatter_: Method<typeof inplace.scatter_, "scatter_">;
    /** `source` added at the places of an index along a dimension. */
    scatterAdd_: Method<typeof inplace.scatterAdd_, "scatterAdd_">;
    /** In place: see indexAdd. */
    indexAdd_: Method<typeof inplace.indexAdd_, "indexAdd_">;
    /** In place: see indexCopy. */
    indexCopy_: Method<typeof inplace.indexCopy_, "indexCopy_">;
    /** In place: see indexFill. */
    indexFill_: Method<typeof inplace.indexFill_, "indexFill_">;
    /** In place: see maskedScatter. */
    maskedScatter_: Method<typeof inplace.maskedScatter_, "maskedScatter_">;
    /** In place: see scatterReduce. */
    scatterReduce_: Method<typeof inplace.scatterReduce_, "scatterReduce_">;
    /** In place: see tril. */
    tril_: Method<typeof inplace.tril_, "tril_">;
    /** In place: see triu. */
    triu_: Method<typeof inplace.triu_, "triu_">;
    /** In place: see trunc. */
    trunc_: Method<typeof inplace.trunc_, "trunc_">;
    /** In place: see sign. */
    sign_: Method<typeof inplace.sign_, "sign_">;
    /** In place: see rsqrt. */
    rsqrt_: Method<typeof inplace.rsqrt_, "rsqrt_">;
    /** In place: see sin. */
    sin_: Method<typeof inplace.sin_, "sin_">;
    /** In place: see cos. */
    cos_: Method<typeof inplace.cos_, "cos_">;
    /** In place: see clampMin. */
    clampMin_: Method<typeof inplace.clampMin_, "clampMin_">;
    /** In place: see clampMax. */
    clampMax_: Method<typeof inplace.clampMax_, "clampMax_">;
    /** In place: see floorDivide. */
    floorDivide_: Method<typeof inplace.floorDivide_, "floorDivide_">;
    /** In place: see fmod. */
    fmod_: Method<typeof inplace.fmod_, "fmod_">;
    /** All elements 0. */
    zero_: Method<typeof inplace.zero_, "zero_">;
    /** All elements one value. */
    fill_: Method<typeof inplace.fill_, "fill_">;
    /** The values of another tensor, broadcast and converted. */
    copy_: Method<typeof inplace.copy_, "copy_">;
    /** Uniform numbers of [from, to). */
    uniform_: Method<typeof inplace.uniform_, "uniform_">;
    /** Normal numbers of a mean and standard deviation. */
    normal_: Method<typeof inplace.normal_, "normal_">;
    /** 1 with probability p, else 0. */
    bernoulli_: Method<typeof inplace.bernoulli_, "bernoulli_">;
    /** Exponential numbers of a rate. */
    exponential_: Method<typeof inplace.exponential_, "exponential_">;
    /** 1 with the probability given at each place, else 0. */
    bernoulli: Method<typeof random.bernoulli, "bernoulli">;
    /** Category numbers drawn by weight, for each row. */
    multinomial: Method<typeof random.multinomial, "multinomial">;
  }
}

install(conversion, [
  "item",
  "tolist",
  "to",
  "cpu",
  "cuda",
  "pinMemory",
  "double",
  "half",
  "bfloat16",
  "int",
  "short",
  "char",
  "byte",
  "float",
  "long",
  "bool",
  "typeAs",
  "detach",
  "detach_",
  "clone",
  "backward",
  "equal",
  "allclose",
]);
install(data, ["toTypedArray"]);
installAs("numpy", data.toTypedArray);
installAccessor("data", data.dataOf, data.setData);
installGetter("device", () => CPU);
installGetter("isCuda", () => false);
installAs("getDevice", () => -1);
install(gradientHooks, ["retainGrad", "registerHook", "registerPostAccumulateGradHook"]);
install(inplace, [
  "add_",
  "sub_",
  "mul_",
  "div_",
  "pow_",
  "remainder_",
  "addcmul_",
  "addcdiv_",
  "lerp_",
  "clamp_",
  "neg_",
  "abs_",
  "exp_",
  "log_",
  "sqrt_",
  "square_",
  "reciprocal_",
  "relu_",
  "sigmoid_",
  "tanh_",
  "floor_",
  "ceil_",
  "round_",
  "fillDiagonal_",
  "maskedFill_",
  "scatter_",
  "scatterAdd_",
  "indexAdd_",
  "indexCopy_",
  "indexFill_",
  "maskedScatter_",
  "scatterReduce_",
  "tril_",
  "triu_",
  "trunc_",
  "sign_",
  "rsqrt_",
  "sin_",
  "cos_",
  "clampMin_",
  "clampMax_",
  "floorDivide_",
  "fmod_",
  "zero_",
  "fill_",
  "copy_",
  "uniform_",
  "normal_",
  "bernoulli_",
  "exponential_",
]);
install(random, ["bernoulli", "multinomial"]);
