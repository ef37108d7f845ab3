// The policies that AutoAugment's authors found, as data.
import type { Operation } from "./autoAugmentOperations.ts";

/** Sets of policies, by the data set they were found for: `transforms.AutoAugmentPolicy.CIFAR10`. */
export const AutoAugmentPolicy = {
  IMAGENET: "imagenet",
  CIFAR10: "cifar10",
  SVHN: "svhn",
} as const;

export type AutoAugmentPolicy = (typeof AutoAugmentPolicy)[keyof typeof AutoAugmentPolicy];

/** An operation, its probability, and the index of its magnitude among 10 where it has one. */
export type Step = readonly [operation: Operation, probability: number, magnitude?: number];

const policy = (...steps: readonly [first: Step, second: Step]): readonly Step[] => steps;

/** Each call of AutoAugment draws one policy of its set. */
export const POLICIES: Readonly<Record<AutoAugmentPolicy, readonly (readonly Step[])[]>> = {
  imagenet: [
    policy(["Posterize", 0.4, 8], ["Rotate", 0.6, 9]),
    policy(["Solarize", 0.6, 5], ["AutoContrast", 0.6]),
    policy(["Equalize", 0.8], ["Equalize", 0.6]),
    policy(["Posterize", 0.6, 7], ["Posterize", 0.6, 6]),
    policy(["Equalize", 0.4], ["Solarize", 0.2, 4]),
    policy(["Equalize", 0.4], ["Rotate", 0.8, 8]),
    policy(["Solarize", 0.6, 3], ["Equalize", 0.6]),
    policy(["Posterize", 0.8, 5], ["Equalize", 1]),
    policy(["Rotate", 0.2, 3], ["Solarize", 0.6, 8]),
    policy(["Equalize", 0.6], ["Posterize", 0.4, 6]),
    policy(["Rotate", 0.8, 8], ["Color", 0.4, 0]),
    policy(["Rotate", 0.4, 9], ["Equalize", 0.6]),
    policy(["Equalize", 0], ["Equalize", 0.8]),
    policy(["Invert", 0.6], ["Equalize", 1]),
    policy(["Color", 0.6, 4], ["Contrast", 1, 8]),
    policy(["Rotate", 0.8, 8], ["Color", 1, 2]),
    policy(["Color", 0.8, 8], ["Solarize", 0.8, 7]),
    policy(["Sharpness", 0.4, 7], ["Invert", 0.6]),
    policy(["ShearX", 0.6, 5], ["Equalize", 1]),
    policy(["Color", 0.4, 0], ["Equalize", 0.6]),
    policy(["Equalize", 0.4], ["Solarize", 0.2, 4]),
    policy(["Solarize", 0.6, 5], ["AutoContrast", 0.6]),
    policy(["Invert", 0.6], ["Equalize", 1]),
    policy(["Color", 0.6, 4], ["Contrast", 1, 8]),
    policy(["Equalize", 0.8], ["Equalize", 0.6]),
  ],
  cifar10: [
    policy(["Invert", 0.1], ["Contrast", 0.2, 6]),
    policy(["Rotate", 0.7, 2], ["TranslateX", 0.3, 9]),
    policy(["Sharpness", 0.8, 1], ["Sharpness", 0.9, 3]),
    policy(["ShearY", 0.5, 8], ["TranslateY", 0.7, 9]),
    policy(["AutoContrast", 0.5], ["Equalize", 0.9]),
    policy(["ShearY", 0.2, 7], ["Posterize", 0.3, 7]),
    policy(["Color", 0.4, 3], ["Brightness", 0.6, 7]),
    policy(["Sharpness", 0.3, 9], ["Brightness", 0.7, 9]),
    policy(["Equalize", 0.6], ["Equalize", 0.5]),
    policy(["Contrast", 0.6, 7], ["Sharpness", 0.6, 5]),
    policy(["Color", 0.7, 7], ["TranslateX", 0.5, 8]),
    policy(["Equalize", 0.3], ["AutoContrast", 0.4]),
    policy(["TranslateY", 0.4, 3], ["Sharpness", 0.2, 6]),
    policy(["Brightness", 0.9, 6], ["Color", 0.2, 8]),
    policy(["Solarize", 0.5, 2], ["Invert", 0]),
    policy(["Equalize", 0.2], ["AutoContrast", 0.6]),
    policy(["Equalize", 0.2], ["Equalize", 0.6]),
    policy(["Color", 0.9, 9], ["Equalize", 0.6]),
    policy(["AutoContrast", 0.8], ["Solarize", 0.2, 8]),
    policy(["Brightness", 0.1, 3], ["Color", 0.7, 0]),
    policy(["Solarize", 0.4, 5], ["AutoContrast", 0.9]),
    policy(["TranslateY", 0.9, 9], ["TranslateY", 0.7, 9]),
    policy(["AutoContrast", 0.9], ["Solarize", 0.8, 3]),
    policy(["Equalize", 0.8], ["Invert", 0.1]),
    policy(["TranslateY", 0.7, 9], ["AutoContrast", 0.9]),
  ],
  svhn: [
    policy(["ShearX", 0.9, 4], ["Invert", 0.2]),
    policy(["ShearY", 0.9, 8], ["Invert", 0.7]),
    policy(["Equalize", 0.6], ["Solarize", 0.6, 6]),
    policy(["Invert", 0.9], ["Equalize", 0.6]),
    policy(["Equalize", 0.6], ["Rotate", 0.9, 3]),
    policy(["ShearX", 0.9, 4], ["AutoContrast", 0.8]),
    policy(["ShearY", 0.9, 8], ["Invert", 0.4]),
    policy(["ShearY", 0.9, 5], ["Solarize", 0.2, 6]),
    policy(["Invert", 0.9], ["AutoContrast", 0.8]),
    policy(["Equalize", 0.6], ["Rotate", 0.9, 3]),
    policy(["ShearX", 0.9, 4], ["Solarize", 0.3, 3]),
    policy(["ShearY", 0.8, 8], ["Invert", 0.7]),
    policy(["Equalize", 0.9], ["TranslateY", 0.6, 6]),
    policy(["Invert", 0.9], ["Equalize", 0.6]),
    policy(["Contrast", 0.3, 3], ["Rotate", 0.8, 4]),
    policy(["Invert", 0.8], ["TranslateY", 0, 2]),
    policy(["ShearY", 0.7, 6], ["Solarize", 0.4, 8]),
    policy(["Invert", 0.6], ["Rotate", 0.8, 4]),
    policy(["ShearY", 0.3, 7], ["TranslateX", 0.9, 3]),
    policy(["ShearX", 0.1, 6], ["Invert", 0.6]),
    policy(["Solarize", 0.7, 2], ["TranslateY", 0.6, 7]),
    policy(["ShearY", 0.8, 4], ["Invert", 0.8]),
    policy(["ShearX", 0.7, 9], ["TranslateY", 0.8, 3]),
    policy(["ShearY", 0.8, 5], ["AutoContrast", 0.7]),
    policy(["ShearX", 0.7, 2], ["Invert", 0.1]),
  ],
};
