// Files that the worker sends piece by piece, so that it need not hold them whole.

import type { Report } from "./protocol";

type Piece = Extract<Report, { type: "piece" }>;

let pieces: Piece[] = [];

export function gather(piece: Piece): void {
  if (piece.first) pieces = []; // what came before was of a file that failed on the way
  pieces.push(piece);
}

/** The file that the pieces make; the next ones are of another. */
export function assembled(mime = ""): Blob {
  const parts = pieces.sort((a, b) => a.at - b.at).map(({ bytes }) => bytes);
  pieces = [];
  return new Blob(parts, { type: mime });
}
