export { setWarningSink, warnOnce, type WarningSink } from "../tensor/core/warnings.ts";
