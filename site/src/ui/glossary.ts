// The words that a newcomer may not know, each in two or three sentences.

export const WORDS = {
  iteration: {
    title: "Iteration",
    text: "One update of every weight: draw a batch of text, measure how badly the model predicts each next character, find in which direction every weight would do better, and take a small step there.",
  },
  nll: {
    title: "NLL, negative log-likelihood",
    text: "How surprised the model is by the character that really came next, in nats a character: minus the logarithm of the probability that it gave to it. Zero is perfect foresight. The bold figure is a running average; single batches jump about.",
  },
  nats: {
    title: "Nats",
    text: "The unit of surprise when the natural logarithm measures it. To give the right character a probability of 1 in 65 costs ln 65 = 4.17 nats, one half 0.69. A bit is 0.69 nats.",
  },
  validation: {
    title: "Validation",
    text: "The same measure on the last tenth of the text, which is never trained on. It is taken every 50 iterations, unless you set it otherwise. When it stops falling while the training loss goes on, the model has begun to memorise.",
  },
  perplexity: {
    title: "Perplexity",
    text: "The validation NLL told another way: e to its power. A perplexity of 9 means that the model is as unsure as if it chose evenly among 9 characters; it begins near the number of characters there are.",
  },
  tokens: {
    title: "Tokens per second",
    text: "How many characters the model has learned from in a second: sequences in a batch, times 64 characters each, times iterations a second.",
  },
  schedule: {
    title: "Learning rate",
    text: "How large a step each update takes. In the warm-up, the first 100 iterations, it rises to its peak, and then falls along a cosine, so that the model settles. AdamW, the optimizer, scales the step for every weight by the gradients it has lately seen.",
  },
  seed: {
    title: "Where chance comes from",
    text: "Any text you like. It names every random number of the run: the first weights, the batches, the validation batches. The same text on the same device gives the same weights, to the last bit.",
  },
  batch: {
    title: "How many at once",
    text: "How many pieces of text, of 64 characters each, are averaged in one update. More give a steadier direction and take longer.",
  },
  iterations: {
    title: "How long to train",
    text: "How many updates the run makes in all. The learning rate is planned over the whole of it, and planned anew when this changes. Raise it to train a run further.",
  },
  peak: {
    title: "The largest step",
    text: "The learning rate at its highest. It can be changed while the model trains. Too low, and little is learned; too high, and the loss stops falling or jumps.",
  },
  logits: {
    title: "Logits",
    text: "What the model says of the next character: one number for each character there is. Softmax turns them into probabilities that sum to 1: e to the power of each, divided by the sum of them all.",
  },
  temperature: {
    title: "Temperature",
    text: "The logits are divided by it before softmax. Below 1 the likely becomes likelier, and the text safer and more repetitive; above 1 the unlikely gets its turn. It changes the draw and not the model.",
  },
  topK: {
    title: "Top-k",
    text: "Only the k likeliest characters may be drawn; the others are left out, and the probabilities of those that stay are scaled up to sum to 1. At the far right all may be drawn, at 1 always the likeliest.",
  },
  topP: {
    title: "Top-p, the nucleus",
    text: "Only the nucleus may be drawn: the fewest of the likeliest characters whose probabilities together reach p. Where the model is sure the nucleus is small, where it is not it is large. Top-p comes after top-k.",
  },
  surprise: {
    title: "Surprise",
    text: "Minus the logarithm of the probability that the model gave to the character that came: in nats with the natural logarithm, in bits with that of base 2. Its mean over a text is the loss.",
  },
  charactersUsed: {
    title: "Characters used",
    text: "How many of the characters that there are the sample has at least once. Even guesses use many of them, a piece of the text fewer: rare ones are rare.",
  },
  unigramKl: {
    title: "KL of characters",
    text: "The Kullback-Leibler divergence of the sample's characters from those of the text it learns from, in nats: 0 if each is as common in both. 80 characters are few, so pieces of the text itself are some way off too.",
  },
  bigramKl: {
    title: "KL of pairs",
    text: "The same for each two neighbours: does u follow q, and a space the comma? It falls later than that of single characters, because what follows what has to be learned after what there is.",
  },
  knownWords: {
    title: "Known words",
    text: "The share of the sample's whole words that the training text has as well. That text is the dictionary; it is counted here.",
  },
  adamw: {
    title: "AdamW",
    text: "The optimizer. It keeps two running averages for every weight, of the gradient and of its square, and steps by the one over the root of the other; and it lets every weight shrink a little (weight decay).",
  },
  warmup: {
    title: "Warm-up",
    text: "The first iterations, 100 unless you set it otherwise, in which the learning rate rises from near zero to its peak. The optimizer's averages are rough at first, and full steps along them would throw the weights about.",
  },
  gradient: {
    title: "Gradient",
    text: "For every weight, how the loss would change if that weight grew a little: which way, and how much. Backpropagation finds it for all of them in one pass back through the model. A step goes the other way.",
  },
  heads: {
    title: "Attention head",
    text: "In each layer every character looks back at those before it and takes from each as much as the weights say, which sum to 1. Each head does that by itself, and learns to look for something else.",
  },
  lens: {
    title: "The logit lens",
    text: "Every layer adds to one row of numbers for each character, the residual stream. At the end a norm and the unembedding make logits of it. The lens does that early, after each layer, as if the model ended there.",
  },
  dispatch: {
    title: "Dispatch",
    text: "One run of one kernel, a small program in WGSL, over a grid of threads. A submit hands the GPU a list of them. A bind group tells a kernel which buffers it reads and writes; making one takes time, so they are kept.",
  },
} as const;

export type Word = keyof typeof WORDS;
