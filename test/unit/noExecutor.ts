// Unit tests share the modules of their process: a file that has set an executor leaves none to the next one.
import { afterAll } from "vitest";
import { forgetPending, setExecutor } from "../../extension/tensor/planning/barrier.ts";

afterAll(() => {
  forgetPending();
  setExecutor(undefined);
});
