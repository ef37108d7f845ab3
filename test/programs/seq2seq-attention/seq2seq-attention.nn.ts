// Translation with a sequence to sequence network and attention: one pair a step, teacher forcing now and then
import { torch, nn, F, optim, format, print, type Tensor } from "layerwise";

torch.manualSeed(3);
export const losses: number[] = [];

const SOS_TOKEN = 0;
const EOS_TOKEN = 1;
const MAX_LENGTH = 7;
const hiddenSize = 24;
const nIters = 60;

class Lang {
  word2index = new Map<string, number>();
  word2count = new Map<string, number>();
  index2word = new Map([
    [0, "SOS"],
    [1, "EOS"],
  ]);
  nWords = 2; // Count SOS and EOS

  constructor(readonly name: string) {}

  addSentence(sentence: string): void {
    for (const word of sentence.split(" ")) this.addWord(word);
  }

  addWord(word: string): void {
    if (!this.word2index.has(word)) {
      this.word2index.set(word, this.nWords);
      this.word2count.set(word, 1);
      this.index2word.set(this.nWords, word);
      this.nWords += 1;
    } else {
      this.word2count.set(word, this.word2count.get(word)! + 1);
    }
  }
}

const PAIRS = `i am cold	ich friere
i am tired	ich bin müde
you are tired	du bist müde
he is tall	er ist groß
she is tall	sie ist groß
we are happy	wir sind glücklich
they are old	sie sind alt
i am not old	ich bin nicht alt
you are not tall	du bist nicht groß
he is not cold	er friert nicht
she is happy	sie ist glücklich
we are not tired	wir sind nicht müde`;
const pairs = PAIRS.split("\n").map((line) => line.split("\t") as [string, string]);
const [inputLang, outputLang] = [new Lang("eng"), new Lang("deu")];
for (const pair of pairs) {
  inputLang.addSentence(pair[0]);
  outputLang.addSentence(pair[1]);
}
print("Counted words:", inputLang.nWords, outputLang.nWords);

class EncoderRNN extends nn.Module {
  hiddenSize: number;
  embedding: nn.Embedding;
  gru: nn.GRU;

  constructor(inputSize: number, hiddenSize: number) {
    super();
    this.hiddenSize = hiddenSize;
    this.embedding = new nn.Embedding(inputSize, hiddenSize);
    this.gru = new nn.GRU(hiddenSize, hiddenSize);
  }

  forward(input: Tensor, hidden: Tensor): [Tensor, Tensor] {
    const embedded = this.embedding(input).view(1, 1, -1);
    let output = embedded;
    [output, hidden] = this.gru(output, hidden);
    return [output, hidden];
  }

  initHidden(): Tensor {
    return torch.zeros(1, 1, this.hiddenSize);
  }
}

class AttnDecoderRNN extends nn.Module {
  hiddenSize: number;
  outputSize: number;
  dropoutP: number;
  maxLength: number;
  embedding: nn.Embedding;
  attn: nn.Linear;
  attnCombine: nn.Linear;
  dropout: nn.Dropout;
  gru: nn.GRU;
  out: nn.Linear;

  constructor(hiddenSize: number, outputSize: number, { dropoutP = 0.1, maxLength = MAX_LENGTH } = {}) {
    super();
    this.hiddenSize = hiddenSize;
    this.outputSize = outputSize;
    this.dropoutP = dropoutP;
    this.maxLength = maxLength;

    this.embedding = new nn.Embedding(this.outputSize, this.hiddenSize);
    this.attn = new nn.Linear(this.hiddenSize * 2, this.maxLength);
    this.attnCombine = new nn.Linear(this.hiddenSize * 2, this.hiddenSize);
    this.dropout = new nn.Dropout(this.dropoutP);
    this.gru = new nn.GRU(this.hiddenSize, this.hiddenSize);
    this.out = new nn.Linear(this.hiddenSize, this.outputSize);
  }

  forward(input: Tensor, hidden: Tensor, encoderOutputs: Tensor): [Tensor, Tensor, Tensor] {
    let embedded = this.embedding(input).view(1, 1, -1);
    embedded = this.dropout(embedded);

    const attnWeights = F.softmax(this.attn(torch.cat([embedded.index(0), hidden.index(0)], 1)), { dim: 1 });
    const attnApplied = torch.bmm(attnWeights.unsqueeze(0), encoderOutputs.unsqueeze(0));

    let output = torch.cat([embedded.index(0), attnApplied.index(0)], 1);
    output = this.attnCombine(output).unsqueeze(0);

    output = F.relu(output);
    [output, hidden] = this.gru(output, hidden);

    output = F.logSoftmax(this.out(output.index(0)), { dim: 1 });
    return [output, hidden, attnWeights];
  }
}

function indexesFromSentence(lang: Lang, sentence: string): number[] {
  return sentence.split(" ").map((word) => lang.word2index.get(word)!);
}

function tensorFromSentence(lang: Lang, sentence: string): Tensor {
  const indexes = indexesFromSentence(lang, sentence);
  indexes.push(EOS_TOKEN);
  return torch.tensor(indexes, { dtype: torch.long }).view(-1, 1);
}

function tensorsFromPair(pair: [string, string]): [Tensor, Tensor] {
  return [tensorFromSentence(inputLang, pair[0]), tensorFromSentence(outputLang, pair[1])];
}

const teacherForcingRatio = 0.5;

function train(
  inputTensor: Tensor,
  targetTensor: Tensor,
  encoder: EncoderRNN,
  decoder: AttnDecoderRNN,
  encoderOptimizer: optim.Optimizer,
  decoderOptimizer: optim.Optimizer,
  criterion: nn.NLLLoss,
): number {
  let encoderHidden = encoder.initHidden();

  encoderOptimizer.zeroGrad();
  decoderOptimizer.zeroGrad();

  const inputLength = inputTensor.size(0);
  const targetLength = targetTensor.size(0);

  const encoderOutputs = torch.zeros(MAX_LENGTH, encoder.hiddenSize);

  let loss = torch.tensor(0.0);

  for (let ei = 0; ei < inputLength; ei++) {
    let encoderOutput: Tensor;
    [encoderOutput, encoderHidden] = encoder(inputTensor.index(ei), encoderHidden);
    encoderOutputs.indexPut_([ei], encoderOutput.index(0, 0));
  }

  let decoderInput = torch.tensor([[SOS_TOKEN]]);
  let decoderHidden = encoderHidden;

  const useTeacherForcing = torch.rand(1).item() < teacherForcingRatio;

  let decoderOutput: Tensor;
  if (useTeacherForcing) {
    // Teacher forcing: feed the target as the next input
    for (let di = 0; di < targetLength; di++) {
      [decoderOutput, decoderHidden] = decoder(decoderInput, decoderHidden, encoderOutputs);
      loss = loss.add(criterion(decoderOutput, targetTensor.index(di)));
      decoderInput = targetTensor.index(di);
    }
  } else {
    // Without teacher forcing: use its own predictions as the next input
    for (let di = 0; di < targetLength; di++) {
      [decoderOutput, decoderHidden] = decoder(decoderInput, decoderHidden, encoderOutputs);
      const { indices: topi } = decoderOutput.topk(1);
      decoderInput = topi.squeeze().detach(); // detach from history as input

      loss = loss.add(criterion(decoderOutput, targetTensor.index(di)));
      if (decoderInput.item() === EOS_TOKEN) break;
    }
  }

  loss.backward();

  encoderOptimizer.step();
  decoderOptimizer.step();

  return loss.item() / targetLength;
}

function trainIters(
  encoder: EncoderRNN,
  decoder: AttnDecoderRNN,
  nIters: number,
  { printEvery = 20, learningRate = 0.05 } = {},
): void {
  let printLossTotal = 0; // Reset every printEvery

  const encoderOptimizer = new optim.SGD(encoder.parameters(), { lr: learningRate });
  const decoderOptimizer = new optim.SGD(decoder.parameters(), { lr: learningRate });
  const trainingPairs = Array.from({ length: nIters }, () =>
    tensorsFromPair(pairs[torch.randint(pairs.length, [1]).item()]),
  );
  const criterion = new nn.NLLLoss();

  for (let iter = 1; iter < nIters + 1; iter++) {
    const trainingPair = trainingPairs[iter - 1];
    const inputTensor = trainingPair[0];
    const targetTensor = trainingPair[1];

    const loss = train(
      inputTensor,
      targetTensor,
      encoder,
      decoder,
      encoderOptimizer,
      decoderOptimizer,
      criterion,
    );
    losses.push(loss);
    printLossTotal += loss;

    if (iter % printEvery === 0) {
      const printLossAvg = printLossTotal / printEvery;
      printLossTotal = 0;
      print(
        `(${iter} ${Math.floor(iter / (Math.floor(nIters / 100) || 1))}%) ${format(printLossAvg, ".3f")}`,
      );
    }
  }
}

function evaluate(
  encoder: EncoderRNN,
  decoder: AttnDecoderRNN,
  sentence: string,
  maxLength = MAX_LENGTH,
): [string[], Tensor] {
  return torch.noGrad(() => {
    const inputTensor = tensorFromSentence(inputLang, sentence);
    const inputLength = inputTensor.size()[0];
    let encoderHidden = encoder.initHidden();

    const encoderOutputs = torch.zeros(maxLength, encoder.hiddenSize);

    for (let ei = 0; ei < inputLength; ei++) {
      let encoderOutput: Tensor;
      [encoderOutput, encoderHidden] = encoder(inputTensor.index(ei), encoderHidden);
      encoderOutputs.index(ei).add_(encoderOutput.index(0, 0));
    }

    let decoderInput = torch.tensor([[SOS_TOKEN]]); // SOS
    let decoderHidden = encoderHidden;

    const decodedWords: string[] = [];
    const decoderAttentions = torch.zeros(maxLength, maxLength);

    let di = 0;
    for (; di < maxLength; di++) {
      let [decoderOutput, decoderAttention]: Tensor[] = [];
      [decoderOutput, decoderHidden, decoderAttention] = decoder(decoderInput, decoderHidden, encoderOutputs);
      decoderAttentions.indexPut_([di], decoderAttention.data);
      const { indices: topi } = decoderOutput.data.topk(1);
      if (topi.item() === EOS_TOKEN) {
        decodedWords.push("<EOS>");
        break;
      } else {
        decodedWords.push(outputLang.index2word.get(topi.item())!);
      }

      decoderInput = topi.squeeze().detach();
    }

    return [decodedWords, decoderAttentions.index(`:${di + 1}`)];
  });
}

const encoder1 = new EncoderRNN(inputLang.nWords, hiddenSize);
const attnDecoder1 = new AttnDecoderRNN(hiddenSize, outputLang.nWords, { dropoutP: 0.1 });
trainIters(encoder1, attnDecoder1, nIters);

encoder1.eval();
attnDecoder1.eval();
export const checks: Record<string, number[]> = { attention: [] };
for (const pair of pairs.slice(0, 4)) {
  print(">", pair[0]);
  print("=", pair[1]);
  const [outputWords, attentions] = evaluate(encoder1, attnDecoder1, pair[0]);
  print("<", outputWords.join(" "));
  checks.attention.push(...(attentions.index(0).tolist() as number[]));
}
