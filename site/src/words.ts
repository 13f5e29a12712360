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
  validation: {
    title: "Validation",
    text: "The same measure on the last tenth of the text, which is never trained on. It is taken every 50 iterations. When it stops falling while the training loss goes on, the model has begun to memorise.",
  },
  perplexity: {
    title: "Perplexity",
    text: "The validation NLL told another way: e to its power. A perplexity of 9 means that the model is as unsure as if it chose evenly among 9 characters; it begins at 65.",
  },
  tokens: {
    title: "Tokens per second",
    text: "How many characters the model has learned from in a second: sequences in a batch, times 64 characters each, times iterations a second.",
  },
  schedule: {
    title: "Learning rate",
    text: "How large a step each update takes. It rises to the peak over the first 100 iterations and then falls along a cosine, so that the model settles. AdamW, the optimizer, scales the step for every weight by the gradients it has lately seen.",
  },
  seed: {
    title: "Where chance comes from",
    text: "Any text you like. It names every random number of the run: the first weights, the batches, the validation batches. The same text on the same GPU gives the same weights, to the last bit.",
  },
  batch: {
    title: "How many at once",
    text: "How many pieces of text, of 64 characters each, are averaged in one update. More give a steadier direction and take longer.",
  },
  iterations: {
    title: "How long to train",
    text: "How many updates the run makes in all. The learning rate is planned over the whole of it, so this is settled once the run is under way.",
  },
  peak: {
    title: "The largest step",
    text: "The learning rate at its highest. It can be changed while the model trains. Too low, and little is learned; too high, and the loss stops falling or jumps.",
  },
} as const;

export type Word = keyof typeof WORDS;
