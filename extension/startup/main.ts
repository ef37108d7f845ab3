#!/usr/bin/env node
// What `dist/cli.js`, `dist/runEngine.js` and `dist/previewEngine.js` are: each starts the program `<name>.cjs` beside it.
import { startProgram } from "./program.ts";

startProgram(import.meta.url);
