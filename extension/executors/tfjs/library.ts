/** tfjs with its backends: a bundle of its own, since few processes need it. */
export * as tfjs from "@tensorflow/tfjs-core";
export { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import "@tensorflow/tfjs-backend-cpu";
