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

/** NVIDIA's GPUs: there are none. */
export const cuda = { matmul: { allowTf32: false }, isBuilt: (): boolean => false };

/** Apple's GPUs: there are none. */
export const mps = { isAvailable: (): boolean => false, isBuilt: (): boolean => false };

/** Intel's kernels, which TensorFlow may use. */
export const mkldnn = { enabled: true, isAvailable: (): boolean => false };
