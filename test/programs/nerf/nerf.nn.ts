/** Neural radiance fields (Mildenhall et al., 2020): rays through a scene of balls, coarse and fine samples. */
import { F, nn, optim, print, torch, type Tensor } from "layerwise";

torch.manualSeed(0);
export const losses: number[] = [];
export const checks: Record<string, number[]> = {};
const [SIZE, VIEWS, WIDTH, DEPTH] = [8, 4, 32, 4];
const [N_RAYS, N_SAMPLES, N_IMPORTANCE, ITERATIONS] = [24, 8, 8, 24];
const [MULTIRES, MULTIRES_VIEWS] = [5, 2];
const [NEAR, FAR] = [2.0, 6.0];
const [LRATE, LRATE_DECAY] = [5e-3, 20];

/** Sines and cosines of each coordinate, at frequencies of powers of two. */
class Embedder {
  embedFns: ((x: Tensor) => Tensor)[];
  outDim: number;

  constructor(multires: number, inputDims = 3) {
    const freqBands = torch.pow(2.0, torch.linspace(0.0, multires - 1, { steps: multires }));
    this.embedFns = [(x) => x];
    for (const freq of freqBands)
      for (const pFn of [torch.sin, torch.cos]) this.embedFns.push((x) => pFn(x.mul(freq)));
    this.outDim = inputDims * this.embedFns.length;
  }

  call(inputs: Tensor): Tensor {
    return torch.cat(
      this.embedFns.map((fn) => fn(inputs)),
      -1,
    );
  }
}

class NeRF extends nn.Module {
  skips: number[];
  pts_linears: nn.ModuleList<nn.Linear>;
  views_linears: nn.ModuleList<nn.Linear>;
  feature_linear: nn.Linear;
  alpha_linear: nn.Linear;
  rgb_linear: nn.Linear;

  constructor({ D = DEPTH, W = WIDTH, inputCh = 3, inputChViews = 3, skips = [2] } = {}) {
    super();
    this.skips = skips;
    this.pts_linears = new nn.ModuleList([
      new nn.Linear(inputCh, W),
      ...Array.from({ length: D - 1 }, (_, i) =>
        skips.includes(i) ? new nn.Linear(W + inputCh, W) : new nn.Linear(W, W),
      ),
    ]);
    this.views_linears = new nn.ModuleList([new nn.Linear(inputChViews + W, Math.floor(W / 2))]);
    this.feature_linear = new nn.Linear(W, W);
    this.alpha_linear = new nn.Linear(W, 1);
    this.rgb_linear = new nn.Linear(Math.floor(W / 2), 3);
  }

  forward(inputPts: Tensor, inputViews: Tensor): Tensor {
    let h = inputPts;
    for (const [i, layer] of this.pts_linears.entries()) {
      h = F.relu(layer(h));
      if (this.skips.includes(i)) h = torch.cat([inputPts, h], -1);
    }
    const alpha = this.alpha_linear(h);
    const feature = this.feature_linear(h);
    h = torch.cat([feature, inputViews], -1);
    for (const layer of this.views_linears) h = F.relu(layer(h));
    const rgb = this.rgb_linear(h);
    return torch.cat([rgb, alpha], -1);
  }
}

/** The camera's pose, on a sphere around the scene and looking at its middle. */
function poseSpherical(theta: number, phi: number, radius: number): Tensor {
  [theta, phi] = [(theta / 180.0) * Math.PI, (phi / 180.0) * Math.PI];
  const transT = torch.eye(4);
  transT.indexPut_([2, 3], radius);
  const rotPhi = torch.tensor(
    [
      [1, 0, 0, 0],
      [0, Math.cos(phi), -Math.sin(phi), 0],
      [0, Math.sin(phi), Math.cos(phi), 0],
      [0, 0, 0, 1],
    ],
    { dtype: torch.float32 },
  );
  const rotTheta = torch.tensor(
    [
      [Math.cos(theta), 0, -Math.sin(theta), 0],
      [0, 1, 0, 0],
      [Math.sin(theta), 0, Math.cos(theta), 0],
      [0, 0, 0, 1],
    ],
    { dtype: torch.float32 },
  );
  return rotTheta.matmul(rotPhi).matmul(transT);
}

function getRays(H: number, W: number, focal: number, c2w: Tensor): [Tensor, Tensor] {
  let [i, j] = torch.meshgrid(torch.linspace(0, W - 1, W), torch.linspace(0, H - 1, H), { indexing: "ij" });
  [i, j] = [i.t(), j.t()];
  const dirs = torch.stack(
    [
      i.sub(W * 0.5).div(focal),
      j
        .sub(H * 0.5)
        .neg()
        .div(focal),
      torch.onesLike(i).neg(),
    ],
    -1,
  );
  const raysD = torch.sum(dirs.index("...", null, ":").mul(c2w.index(":3", ":3")), -1);
  const raysO = c2w.index(":3", -1).expand(raysD.shape);
  return [raysO, raysD];
}

/** Volume rendering: what each sample along a ray adds to its colour. */
function raw2outputs(
  raw: Tensor,
  zVals: Tensor,
  raysD: Tensor,
  whiteBkgd = true,
): [rgbMap: Tensor, depthMap: Tensor, accMap: Tensor, weights: Tensor] {
  let dists = zVals.index("...", "1:").sub(zVals.index("...", ":-1"));
  dists = torch.cat(
    [dists, torch.tensor([1e10], { dtype: torch.float32 }).expand(dists.index("...", ":1").shape)],
    -1,
  );
  dists = dists.mul(torch.norm(raysD.index("...", null, ":"), { dim: -1 }));
  const rgb = torch.sigmoid(raw.index("...", ":3"));
  const alpha = torch.sub(1.0, torch.exp(F.relu(raw.index("...", 3)).neg().mul(dists)));
  const transmitted = torch.cumprod(
    torch.cat([torch.ones([alpha.shape[0], 1]), torch.sub(1.0, alpha).add(1e-10)], -1),
    -1,
  );
  const weights = alpha.mul(transmitted.index(":", ":-1"));
  let rgbMap = torch.sum(weights.index("...", null).mul(rgb), -2);
  const depthMap = torch.sum(weights.mul(zVals), -1);
  const accMap = torch.sum(weights, -1);
  if (whiteBkgd) rgbMap = rgbMap.add(torch.sub(1.0, accMap.index("...", null)));
  return [rgbMap, depthMap, accMap, weights];
}

/** Samples where the coarse network saw something, by inverting the distribution function. */
function samplePdf(bins: Tensor, weights: Tensor, nSamples: number, { det = false } = {}): Tensor {
  weights = weights.add(1e-5);
  const pdf = weights.div(torch.sum(weights, -1, { keepdim: true }));
  let cdf = torch.cumsum(pdf, -1);
  cdf = torch.cat([torch.zerosLike(cdf.index("...", ":1")), cdf], -1);
  let u: Tensor;
  if (det) {
    u = torch.linspace(0.0, 1.0, { steps: nSamples });
    u = u.expand([...cdf.shape.slice(0, -1), nSamples]);
  } else u = torch.rand([...cdf.shape.slice(0, -1), nSamples]);
  u = u.contiguous();
  const inds = torch.searchsorted(cdf, u, { right: true });
  const below = torch.max(torch.zerosLike(inds.sub(1)), inds.sub(1));
  const above = torch.min(torch.onesLike(inds).mul(cdf.shape.at(-1)! - 1), inds);
  const indsG = torch.stack([below, above], -1);
  const matchedShape = [indsG.shape[0], indsG.shape[1], cdf.shape.at(-1)!];
  const cdfG = torch.gather(cdf.unsqueeze(1).expand(matchedShape), 2, indsG);
  const binsG = torch.gather(bins.unsqueeze(1).expand(matchedShape), 2, indsG);
  let denom = cdfG.index("...", 1).sub(cdfG.index("...", 0));
  denom = torch.where(denom.lt(1e-5), torch.onesLike(denom), denom);
  const t = u.sub(cdfG.index("...", 0)).div(denom);
  return binsG.index("...", 0).add(t.mul(binsG.index("...", 1).sub(binsG.index("...", 0))));
}

const [embed, embedViews] = [new Embedder(MULTIRES), new Embedder(MULTIRES_VIEWS)];

function query(network: NeRF, pts: Tensor, viewdirs: Tensor): Tensor {
  const flat = pts.reshape(-1, 3);
  const dirs = viewdirs.index(":", null).expand(pts.shape).reshape(-1, 3);
  const outputs = network(embed.call(flat), embedViews.call(dirs));
  return outputs.reshape([...pts.shape.slice(0, -1), outputs.shape.at(-1)!]);
}

function renderRays(
  raysO: Tensor,
  raysD: Tensor,
  coarse: NeRF,
  fine: NeRF,
  { perturb = true } = {},
): [rgb: Tensor, rgb0: Tensor, depth: Tensor, acc: Tensor] {
  const viewdirs = raysD.div(torch.norm(raysD, { dim: -1, keepdim: true }));
  const tVals = torch.linspace(0.0, 1.0, { steps: N_SAMPLES });
  let zVals = torch.sub(1.0, tVals).mul(NEAR).add(tVals.mul(FAR)).expand([raysO.shape[0], N_SAMPLES]);
  if (perturb) {
    const mids = zVals.index("...", "1:").add(zVals.index("...", ":-1")).mul(0.5);
    const upper = torch.cat([mids, zVals.index("...", "-1:")], -1);
    const lower = torch.cat([zVals.index("...", ":1"), mids], -1);
    zVals = lower.add(upper.sub(lower).mul(torch.rand(zVals.shape)));
  }
  const points = (z: Tensor): Tensor =>
    raysO.index("...", null, ":").add(raysD.index("...", null, ":").mul(z.index("...", ":", null)));
  let pts = points(zVals);
  const [rgb0, , , weights] = raw2outputs(query(coarse, pts, viewdirs), zVals, raysD);

  const zValsMid = zVals.index("...", "1:").add(zVals.index("...", ":-1")).mul(0.5);
  let zSamples = samplePdf(zValsMid, weights.index("...", "1:-1"), N_IMPORTANCE, { det: !perturb });
  zSamples = zSamples.detach();
  zVals = torch.sort(torch.cat([zVals, zSamples], -1), -1).values;
  pts = points(zVals);
  const [rgb, depth, acc] = raw2outputs(query(fine, pts, viewdirs), zVals, raysD);
  return [rgb, rgb0, depth, acc];
}

/** Three balls with their colours: logits of colour, and density. */
function scene(pts: Tensor): Tensor {
  const centres = torch.tensor([
    [0.0, 0.0, 0.0],
    [0.9, 0.4, 0.2],
    [-0.6, -0.5, 0.8],
  ]);
  const radii = torch.tensor([0.7, 0.4, 0.5]);
  const colours = torch.tensor(
    [
      [3.0, -3.0, -3.0],
      [-3.0, 3.0, -1.0],
      [-2.0, 0.0, 3.0],
    ],
    { dtype: torch.float32 },
  );
  const distance = torch.norm(pts.index("...", null, ":").sub(centres), { dim: -1 });
  const inside = torch.sigmoid(radii.sub(distance).mul(8));
  const density = inside.sum(-1, { keepdim: true }).mul(6);
  return torch.cat([torch.softmax(inside.mul(4), -1).matmul(colours), density], -1);
}

const focal = SIZE * 1.2;
const images: Tensor[] = [];
const rays: Tensor[] = [];
torch.noGrad(() => {
  for (let view = 0; view < VIEWS + 1; view++) {
    const c2w = poseSpherical((360.0 * view) / (VIEWS + 1) - 180.0, -30.0, 4.0);
    const [raysO, raysD] = getRays(SIZE, SIZE, focal, c2w).map((r) => r.reshape(-1, 3));
    const zVals = torch.linspace(NEAR, FAR, 96).expand(raysO.shape[0], 96);
    const pts = raysO.index(":", null, ":").add(raysD.index(":", null, ":").mul(zVals.index("...", null)));
    images.push(raw2outputs(scene(pts), zVals, raysD)[0]);
    rays.push(torch.stack([raysO, raysD], 1));
  }
});
const [testImage, testRays] = [images.pop()!, rays.pop()!];
// Every ray with its colour: ro, rd, rgb.
let raysRgb = torch.cat([torch.cat(rays), torch.cat(images).index(":", null)], 1);
raysRgb = raysRgb.index(torch.randperm(raysRgb.shape[0]));
print("rays", raysRgb.shape);

const coarse = new NeRF({ inputCh: embed.outDim, inputChViews: embedViews.outDim });
const fine = new NeRF({ inputCh: embed.outDim, inputChViews: embedViews.outDim });
print(fine);
const optimizer = new optim.Adam([...coarse.parameters(), ...fine.parameters()], {
  lr: LRATE,
  betas: [0.9, 0.999],
});
const img2mse = (x: Tensor, y: Tensor): Tensor => torch.mean(x.sub(y).pow(2));
const mse2psnr = (x: Tensor): Tensor =>
  torch
    .log(x)
    .mul(-10.0)
    .div(torch.log(torch.tensor([10.0])));

let iBatch = 0;
const psnrs: number[] = [];
for (let i = 0; i < ITERATIONS; i++) {
  const batch = raysRgb.index(`${iBatch}:${iBatch + N_RAYS}`).transpose(0, 1);
  const [batchRays, targetS] = [batch.index(":2"), batch.index(2)];
  iBatch += N_RAYS;
  if (iBatch >= raysRgb.shape[0]) {
    raysRgb = raysRgb.index(torch.randperm(raysRgb.shape[0]));
    iBatch = 0;
  }
  const [rgb, rgb0] = renderRays(batchRays.index(0), batchRays.index(1), coarse, fine);
  optimizer.zeroGrad();
  const imgLoss = img2mse(rgb, targetS);
  const psnr = mse2psnr(imgLoss);
  const loss = imgLoss.add(img2mse(rgb0, targetS));
  loss.backward();
  optimizer.step();
  const decayRate = 0.1;
  const newLrate = LRATE * decayRate ** (i / (LRATE_DECAY * 100));
  for (const paramGroup of optimizer.paramGroups) paramGroup.lr = newLrate;
  losses.push(loss.item());
  psnrs.push(psnr.item());
}

torch.noGrad(() => {
  const parts = testRays
    .split(N_RAYS)
    .map((r) => renderRays(r.index(":", 0), r.index(":", 1), coarse, fine, { perturb: false }));
  const [rgb, , depth, acc] = [0, 1, 2, 3].map((k) => torch.cat(parts.map((part) => part[k])));
  const testLoss = img2mse(rgb, testImage);
  print("test", rgb.shape, depth.shape);
  checks["psnr"] = psnrs.filter((_, i) => i % 6 === 0);
  checks["test"] = [testLoss.item(), mse2psnr(testLoss).item()];
  checks["row"] = rgb.index(Math.floor((SIZE * SIZE) / 2)).tolist() as number[];
  checks["depth"] = depth
    .reshape(SIZE, SIZE)
    .index(Math.floor(SIZE / 2))
    .tolist() as number[];
  checks["acc"] = [acc.mean().item()];
});
