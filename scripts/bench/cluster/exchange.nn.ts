// Times all-reduces of several sizes in each of several processes; the first one prints the milliseconds of each.
import { distributed, torch } from "layerwise";

const SIZES = [256, 1 << 18, 1 << 22];
const REPEATS = 12;

await distributed.initProcessGroup();
const measured = SIZES.map((count) => {
  const x = torch.zeros(count);
  const times: number[] = [];
  for (let i = 0; i < REPEATS; i++) {
    distributed.barrier();
    const start = performance.now();
    distributed.allReduce(x);
    x.index(0).item();
    times.push(performance.now() - start);
  }
  return { bytes: 4 * count, seconds: Math.min(...times) / 1000 };
});
if (distributed.getRank() === 0) console.log(`measured ${JSON.stringify(measured)}`);
