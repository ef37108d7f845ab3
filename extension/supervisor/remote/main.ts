// The program on the machine that runs go to: it answers a line, or with "keep" it keeps a run.
import { Agent } from "./agent.ts";
import { keep } from "./keeper.ts";

if (process.argv[2] === "keep") void keep();
else void new Agent();
