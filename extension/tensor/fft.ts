// PyTorch's torch.fft, called by position or by name.
import * as namespace from "./fft/namespace.ts";
import { callables } from "./signatures/callable.ts";
import { FFT } from "./signatures/namespaces.ts";

export const {
  fft,
  fft2,
  fftfreq,
  fftn,
  fftshift,
  hfft,
  hfft2,
  hfftn,
  ifft,
  ifft2,
  ifftn,
  ifftshift,
  ihfft,
  ihfft2,
  ihfftn,
  irfft,
  irfft2,
  irfftn,
  rfft,
  rfft2,
  rfftfreq,
  rfftn,
} = callables(namespace, FFT);
