export { setWarningSink, warnOnce, type WarningSink } from "../tensor/warnings.ts";
