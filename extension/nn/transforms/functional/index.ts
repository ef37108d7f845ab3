// torchvision.transforms.functional: changes of images without draws.
export * from "./color.ts";
export { hflip, vflip } from "../parts.ts";
export * from "./geometry.ts";
export * from "./warps.ts";
