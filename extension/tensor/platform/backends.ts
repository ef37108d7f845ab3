// PyTorch's torch.backends: switches that programs set. None has an effect here, where results are reproducible anyway.

/** NVIDIA's kernels: there are none. */
export const cudnn = {
  enabled: true,
  benchmark: false,
  deterministic: false,
  allowTf32: true,
  isAvailable: (): boolean => false,
  version: (): number | null => null,
};

/** Kernels of attention that programs allow: without effect, since one implementation computes all of it. */
const attention = { flash: true, memEfficient: true, math: true, cudnn: true };

/** NVIDIA's GPUs: there are none. */
export const cuda = {
  matmul: { allowTf32: false },
  isBuilt: (): boolean => false,
  flashSdpEnabled: (): boolean => attention.flash,
  enableFlashSdp: (enabled: boolean): void => void (attention.flash = enabled),
  memEfficientSdpEnabled: (): boolean => attention.memEfficient,
  enableMemEfficientSdp: (enabled: boolean): void => void (attention.memEfficient = enabled),
  mathSdpEnabled: (): boolean => attention.math,
  enableMathSdp: (enabled: boolean): void => void (attention.math = enabled),
  cudnnSdpEnabled: (): boolean => attention.cudnn,
  enableCudnnSdp: (enabled: boolean): void => void (attention.cudnn = enabled),
};

/** Apple's GPUs: there are none. */
export const mps = { isAvailable: (): boolean => false, isBuilt: (): boolean => false };

/** Intel's kernels, which TensorFlow may use. */
export const mkldnn = { enabled: true, isAvailable: (): boolean => false };
