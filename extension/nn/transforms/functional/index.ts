// torchvision.transforms.functional: changes of images without draws.
export * from "./color.ts";
export * from "./geometry.ts";
export * from "./warps.ts";
