// Functions whose first parameter is a tensor, here and there with others: functions of `torch` and methods of tensors.
export * from "./indexing/gathering.ts";
export * from "./indexing/unique.ts";
export * from "./linalg/linalg.ts";
export * from "./pointwise/arithmetic.ts";
export * from "./pointwise/elementwise.ts";
export * from "./pointwise/special.ts";
export * from "./reduction/differences.ts";
export * from "./reduction/extremes.ts";
export * from "./reduction/nanOrder.ts";
export * from "./reduction/reduction.ts";
export * from "./reduction/statistics.ts";
export * from "./shape/orientation.ts";
export * from "./shape/parts.ts";
export * from "./shape/placing.ts";
export * from "./shape/repeating.ts";
export * from "./shape/shape.ts";
